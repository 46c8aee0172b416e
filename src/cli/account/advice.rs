//! Advice after an account was created: what the setup page would have taken care of.

use crate::{
    cli::{context::CommandContext, error::CliError, output},
    domain::policy::{PolicyDocument, posture::baselines},
    flows,
};

/// Prints what is still missing. `first`: the account ended setup, and no policy was chosen.
pub async fn print_advice(context: &CommandContext, first: bool) -> Result<(), CliError> {
    if flows::setup::lacks_administrator(&context.ctx).await? {
        output::print_warning(flows::setup::NO_ADMINISTRATOR);
    }
    if first && *context.ctx.in_force().policy.document() == PolicyDocument::default() {
        let baselines: Vec<&str> = baselines().iter().map(|baseline| baseline.title).collect();
        output::print_message(&format!(
            "the policy is at its defaults: no lockout after failed sign-ins, no end of inactive sessions; setup would \
             have offered {} (--baseline): compare with `nightlatch policy posture`, change it with `policy set` or \
             `policy import`",
            baselines.join(", ")
        ));
    }
    Ok(())
}

//! The check of the systems to which the audit is shipped.

use super::DoctorFindings;
use crate::{
    clock::SystemClock,
    config::Config,
    domain::duration::humanize,
    flows::audit::shipping::{TargetReport, list_targets, make_shippers},
    random::OsRandom,
    server,
};
use std::sync::Arc;

const CHECK: &str = "audit target";

impl DoctorFindings {
    /// Checks the certificates of each target, and what the servers recorded about it.
    pub(super) async fn check_audit_targets(&mut self, config: &Config) {
        if config.audit_targets.is_empty() {
            return;
        }
        let config = Config {
            migrate: false,
            ..config.clone()
        };
        let ctx = match server::context(config, Arc::new(SystemClock), Arc::new(OsRandom), false) {
            Ok(ctx) => ctx,
            Err(error) => return self.fault(CHECK, error.to_string()),
        };
        for shipper in make_shippers(&ctx) {
            if let Err(fault) = shipper.check().await {
                self.fault(CHECK, format!("{}: {fault}", shipper.target().name));
            }
        }
        match list_targets(&ctx).await {
            Ok(reports) => reports.iter().for_each(|report| self.judge_target(report)),
            Err(error) => self.fault(CHECK, error.to_string()),
        }
    }

    fn judge_target(&mut self, report: &TargetReport) {
        let name = &report.target.name;
        let Some(state) = &report.state else {
            return self.warning(CHECK, format!("{name}: no server has begun to ship to it"));
        };
        if state.missed_seals > 0 {
            let missed = state.missed_seals;
            self.warning(
                CHECK,
                format!("{name}: retention removed {missed} seals before they were shipped"),
            );
        }
        let waiting = match report.waiting {
            0 => "everything sealed was shipped".to_owned(),
            waiting => format!(
                "{waiting} entries wait, the oldest for {}",
                humanize(report.age.as_secs())
            ),
        };
        match &state.fault {
            Some(fault) => self.warning(CHECK, format!("{name}: {fault}; {waiting}")),
            None if report.needs_attention() => self.warning(CHECK, format!("{name}: {waiting}")),
            None => self.ok(CHECK, format!("{name}: {waiting}")),
        }
    }
}

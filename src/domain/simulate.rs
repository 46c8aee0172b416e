//! The one judgement run over many sessions or requests: what a policy comes to before it is lived through.
//! No rule is written down here a second time.

pub mod explain;
pub mod preview;
pub mod replay;

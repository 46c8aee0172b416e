//! Simulations: the judgement of sessions run over many sessions or requests, to show the effect of
//! a policy in advance. They repeat no rule.

pub mod explain;
pub mod factors;
pub mod preview;
pub mod replay;

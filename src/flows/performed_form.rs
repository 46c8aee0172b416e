//! The form that a flow performs, if it may be sent twice: `form_submissions` claims its key and
//! keeps the result.

use crate::{domain::secret::Secret, store::form_submissions::FormSubmission};
use std::{
    any::{Any, TypeId},
    sync::Arc,
};

/// The result of an act: a text of the caller's own, JSON usually.
#[derive(Debug, Clone)]
pub struct FormOutcome {
    /// What was done, without secrets.
    pub text: String,
    /// The secrets, which are sealed.
    pub secrets: Option<Secret>,
}

/// Describes the result of an act.
type DescribeOutcome = dyn Fn(&dyn Any) -> Option<FormOutcome> + Send + Sync;

/// A form that was sent, and how the result of its act is described.
#[derive(Clone)]
pub struct PerformedForm {
    /// Who sent it, and its key.
    pub(super) submission: FormSubmission,
    /// The address to which it was sent.
    pub(super) route: String,
    /// The type of the result: other transactions of the same flow are not the act.
    result: TypeId,
    /// Describes the result; `None`: the act came to nothing.
    describe: Arc<DescribeOutcome>,
}

impl PerformedForm {
    /// Creates a form whose act has a result of type `T`.
    pub(super) fn new<T: 'static>(
        submission: FormSubmission,
        route: &str,
        describe: impl Fn(&T) -> Option<FormOutcome> + Send + Sync + 'static,
    ) -> Self {
        Self {
            submission,
            route: route.to_owned(),
            result: TypeId::of::<T>(),
            describe: Arc::new(move |done: &dyn Any| done.downcast_ref().and_then(&describe)),
        }
    }

    /// Returns whether the act has a result of this type.
    pub(super) fn results_in<T: 'static>(&self) -> bool {
        self.result == TypeId::of::<T>()
    }

    /// Describes a result; `None`: the act came to nothing.
    pub(super) fn describe<T: 'static>(&self, done: &T) -> Option<FormOutcome> {
        (self.describe)(done)
    }
}

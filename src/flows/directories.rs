//! Asking directories: who a typed name is, whether the password is right, and what the person may
//! do here. Nothing in this file holds a database write while a directory is asked.

mod admission;
mod keeping;

pub(super) use admission::{DirectoryAdmission, DirectoryVerdict, PasswordRoute};
pub(super) use keeping::find_difference;

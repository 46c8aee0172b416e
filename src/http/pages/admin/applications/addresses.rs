//! The addresses of one application's pages.

use crate::{
    domain::policy::Scope,
    http::{
        pages::admin::list::{href, segment},
        paths,
    },
};

/// Returns the address of an application's page.
pub(super) fn page_address(name: &str) -> String {
    format!("{}/{}", paths::ADMIN_APPLICATIONS, segment(name))
}

/// Returns the address of the policy of an application.
pub(super) fn policy_address(name: &str) -> String {
    let scope = Scope::Application(name.to_owned()).to_string();
    href(paths::ADMIN_POLICY, [("scope", scope.as_str())])
}

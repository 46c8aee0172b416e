//! The packages that install and monitor the program: the Debian package, the systemd unit, log
//! rotation, the container image, the Kubernetes manifests, the dashboard and the alerts. Each uses
//! only settings, ports, paths and metrics that the program has.

mod container;
mod debian;
mod kubernetes;
mod monitoring;

use nightlatch::config::SettingInfo;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file or folder of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The text of a file of the repository.
fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Fails unless a variable is a setting, or one that can be read from a file.
fn assert_is_setting(file: &str, variable: &str) {
    let settings = nightlatch::config::SETTINGS;
    let is_set_by = |setting: &SettingInfo| match variable.strip_suffix("_FILE") {
        Some(name) => setting.env == name && setting.may_be_a_file(),
        None => setting.env == variable,
    };
    assert!(settings.iter().any(is_set_by), "{file}: {variable} is no setting");
}

/// The port of an address such as `0.0.0.0:8080`.
fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

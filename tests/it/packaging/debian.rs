//! The Debian package: its files, its configuration, the unit and log rotation.

use super::{path, read};
use crate::harness::{
    program::{Program, command, run_with_input},
    server::{PASSWORD, eventually},
};
use nightlatch::config::{Config, Flags, SettingInfo};
use std::{fs, path::Path, process::Command};

const UNIT: &str = "contrib/systemd/nightlatch.service";
const CONFIGURATION: &str = "contrib/nightlatch.toml";
const ROTATION: &str = "contrib/nightlatch.logrotate";

fn package() -> toml::Table {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    manifest["package"]["metadata"]["deb"].as_table().unwrap().clone()
}

/// Returns source, destination and mode of each file of the package.
fn assets() -> Vec<[String; 3]> {
    let assets = package()["assets"].as_array().unwrap().clone();
    let words = |asset: toml::Value| asset.as_array().unwrap().clone().try_into().unwrap();
    let asset = |words: [toml::Value; 3]| words.map(|word| word.as_str().unwrap().to_owned());
    assets.into_iter().map(words).map(asset).collect()
}

/// Returns whether a pattern with at most one `*`, in its last part, matches a file of the
/// repository.
fn names_a_file(pattern: &str) -> bool {
    let Some((start, end)) = pattern.split_once('*') else {
        return path(pattern).is_file();
    };
    let (folder, start) = start.rsplit_once('/').unwrap();
    let files = fs::read_dir(path(folder)).unwrap();
    let mut names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.any(|name| name.starts_with(start) && name.ends_with(end))
}

#[test]
fn the_package_brings_files_that_exist() {
    let build = read("contrib/debian/build");
    for [source, destination, _] in assets() {
        match source.strip_prefix("target/") {
            // The program, and the files that it generates.
            Some("release/nightlatch") => assert_eq!(destination, "usr/bin/"),
            Some("package/man/*.1") => assert!(build.contains("nightlatch man target/package/man")),
            Some(made) => {
                let shell = made.strip_prefix("package/nightlatch.").unwrap();
                let shells = build.split_once("for shell in ").unwrap().1.split(';').next().unwrap();
                assert!(shells.split(' ').any(|made| made == shell), "{source} is not made");
            }
            None => assert!(names_a_file(&source), "{source} does not exist"),
        }
    }
    for file in package()["conf-files"].as_array().unwrap() {
        let file = file.as_str().unwrap();
        let is_brought = assets()
            .iter()
            .any(|[_, destination, _]| format!("/{destination}") == file);
        assert!(is_brought, "{file} is brought by no asset");
    }
    for script in ["postinst", "prerm", "postrm"] {
        let text = read(&format!("contrib/debian/{script}"));
        assert!(
            text.contains("#DEBHELPER#"),
            "{script} lacks the place for the unit's commands"
        );
        let checked = Command::new("sh")
            .arg("-n")
            .arg(path(&format!("contrib/debian/{script}")))
            .status();
        assert!(checked.unwrap().success(), "{script}");
    }
}

#[test]
fn every_line_of_the_shipped_configuration_is_a_setting() {
    let text = read(CONFIGURATION);
    let is_setting = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = ");
    let settings: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(is_setting)
        .collect();
    assert!(settings.len() > 5, "{settings:?}");
    for line in &settings {
        let name = line.split(" = ").next().unwrap();
        let found = match name.strip_suffix("_file") {
            Some(name) => SettingInfo::find(name).filter(|info| info.may_be_a_file()),
            None => SettingInfo::find(name),
        };
        assert!(found.is_some(), "{name} is no setting");
    }
    // As shipped, and with every setting enabled that names no further file.
    let all = settings.iter().filter(|line| !line.contains("_file = "));
    let all: String = all.map(|line| format!("{line}\n")).collect();
    for text in [text.clone(), all] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let config = Config::load(Some(file.path()), std::iter::empty(), Flags::default()).unwrap();
        assert_eq!(config.bind, ["127.0.0.1:8080".parse().unwrap()]);
    }
}

/// Returns the value of a line `NAME=VALUE` of the unit.
fn directive(name: &str) -> String {
    let text = read(UNIT);
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values
        .next()
        .unwrap_or_else(|| panic!("{UNIT} has no {name}"))
        .to_owned()
}

#[test]
fn unit_configuration_and_rotation_name_the_same_places() {
    let configuration: toml::Table = read(CONFIGURATION).parse().unwrap();
    let setting = |name: &str| configuration[name].as_str().unwrap().to_owned();
    let state = format!("/var/lib/{}/", directive("StateDirectory"));
    let logs = format!("/var/log/{}/", directive("LogsDirectory"));
    assert!(setting("database_url").starts_with(&format!("sqlite:{state}")));
    assert!(setting("mail_outbox").starts_with(&state));
    assert!(setting("security_log").starts_with(&logs));
    assert!(read(ROTATION).contains(&format!("\n{} {{\n", setting("security_log"))));
    let file = package()["conf-files"][0].as_str().unwrap().to_owned();
    assert!(directive("ExecStart").ends_with(&format!(" --config {file}")), "{file}");
    // The unit uses the account that the package creates.
    let user = directive("User");
    assert!(
        read("contrib/debian/postinst").contains(&format!("adduser --system --group --quiet --home /var/lib/{user} "))
    );
    assert_eq!(
        (directive("Type"), directive("Restart")),
        ("notify".to_owned(), "on-failure".to_owned())
    );
    // 10 s for open requests and 6 s for writing, after `stop_delay`.
    assert!(directive("TimeoutStopSec").parse::<u32>().unwrap() >= 20);
}

#[test]
fn systemd_accepts_the_unit_and_rates_it_at_most_2() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("nightlatch.service");
    let program = format!("ExecStart={}", env!("CARGO_BIN_EXE_nightlatch"));
    let text = read(UNIT);
    assert!(
        text.contains("ExecStart=nightlatch "),
        "found on the path of the service manager"
    );
    fs::write(&unit, text.replace("ExecStart=nightlatch", &program)).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&unit).output();
        let output =
            output.unwrap_or_else(|error| panic!("systemd-analyze is installed: tests/run does that: {error}"));
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (accepted, said) = analyze(&["verify", "--man=no"]);
    assert!(accepted, "{said}");
    // In tenths.
    let (rated, said) = analyze(&["security", "--offline=true", "--no-pager", "--threshold=20"]);
    assert!(rated, "{said}");
}

/// Rotates now, as logrotate's timer would.
fn rotate(dir: &Path, configuration: &Path) {
    let installed = Path::new("/usr/sbin/logrotate");
    let mut logrotate = Command::new(if installed.exists() {
        installed
    } else {
        Path::new("logrotate")
    });
    let output = logrotate
        .arg("--force")
        .arg("--state")
        .arg(dir.join("state"))
        .arg(configuration)
        .output();
    let output = output.unwrap_or_else(|error| panic!("logrotate is installed: tests/run does that: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn rotation_loses_no_line_of_the_security_log() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["account", "create", "ada", "--password-stdin"];
    assert!(run_with_input(dir.path(), &[], &arguments, PASSWORD).status.success());
    let log = dir.path().join("security.log");
    let server = Program::serve(dir.path(), &[("NIGHTLATCH_SECURITY_LOG", "security.log")]);
    server.client().sign_in("ada", PASSWORD).expect(303);
    let before = fs::read_to_string(&log).unwrap();
    let reload = "if systemctl is-active --quiet nightlatch; then systemctl reload nightlatch; fi";
    let rotation = read(ROTATION);
    assert!(rotation.contains(reload));
    let rotation = rotation
        .replace("/var/log/nightlatch/security.log", log.to_str().unwrap())
        .replace(reload, &format!("kill -HUP {}", server.process()));
    let configuration = dir.path().join("rotation");
    fs::write(&configuration, rotation).unwrap();
    rotate(dir.path(), &configuration);
    eventually("the server has opened the file anew", || log.exists());
    server.client().sign_in("ada", PASSWORD).expect(303);
    let files = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
    let rotated = files
        .filter(|file| file != &log)
        .find(|file| file.file_name().unwrap().to_str().unwrap().starts_with("security.log-"));
    assert_eq!(fs::read_to_string(rotated.unwrap()).unwrap(), before);
    assert!(fs::read_to_string(&log).unwrap().contains("sign_in.accepted"));
    assert!(server.terminate().success());
}

#[test]
fn manual_pages_and_completions_name_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man");
    fs::create_dir(&pages).unwrap();
    let made = command(dir.path()).arg("man").arg(&pages).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let main = fs::read_to_string(pages.join("nightlatch.1")).unwrap();
    for name in ["serve", "account", "policy", "doctor"] {
        assert!(main.contains(&format!("nightlatch\\-{name}(1)")), "{name}: {main}");
        assert!(pages.join(format!("nightlatch-{name}.1")).is_file(), "{name}");
    }
    assert!(pages.join("nightlatch-account-create.1").is_file());
    assert!(!pages.join("nightlatch-man.1").exists(), "for packagers alone");
}

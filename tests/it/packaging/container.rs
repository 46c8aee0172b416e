//! The container image and the compose file. The tests have no container runtime: they build the
//! image's file system as the Containerfile does, and run the program in it.

use super::{assert_is_setting, path, port, read};
use crate::harness::{program::command, server::eventually, yaml};
use std::{
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

const CONTAINERFILE: &str = "contrib/container/Containerfile";
const COMPOSE: &str = "contrib/container/compose.yaml";

/// Returns the words of the last instruction with a name in the Containerfile, with its continued
/// lines joined.
pub(super) fn instruction(name: &str) -> Vec<String> {
    let text = read(CONTAINERFILE).replace("\\\n", "");
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .collect();
    let last = lines.last().unwrap_or_else(|| panic!("{CONTAINERFILE} has no {name}"));
    last.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_image_runs_the_program_without_rights() {
    let user = instruction("USER").concat();
    let (user, group) = user.split_once(':').unwrap();
    assert!(user.parse::<u32>().unwrap() > 0 && group.parse::<u32>().unwrap() > 0);
    let passwd = format!("nightlatch:x:{user}:{group}:");
    assert!(read("contrib/container/assemble-root").contains(&passwd));
    assert_eq!(instruction("FROM"), ["scratch"], "nothing but what the image needs");
    let mut bind = None;
    for pair in instruction("ENV") {
        let (name, value) = pair.split_once('=').unwrap();
        if !["PATH", "SSL_CERT_FILE"].contains(&name) {
            assert_is_setting(CONTAINERFILE, name);
        }
        if name == "NIGHTLATCH_BIND" {
            bind = Some(value.to_owned());
        }
    }
    assert_eq!(instruction("EXPOSE"), [port(&bind.unwrap())]);
    let check = instruction("HEALTHCHECK").join(" ");
    assert!(check.ends_with(r#"CMD ["/usr/bin/nightlatch", "health"]"#), "{check}");
    assert_eq!(instruction("ENTRYPOINT").concat(), r#"["/usr/bin/nightlatch"]"#);
}

#[test]
fn the_build_gets_every_folder_that_it_needs() {
    let ignored = read(&format!("{CONTAINERFILE}.dockerignore"));
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for name in &kept {
        assert!(path(name).exists(), "{name} does not exist");
    }
    for name in [
        "Cargo.lock",
        "Cargo.toml",
        "benches",
        "contrib",
        "migrations",
        "src",
        "static",
        "templates",
        "tests",
    ] {
        assert!(kept.contains(&name), "{name} is needed");
    }
}

/// The image's file system, as its own account sees it.
struct Image {
    root: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Image {
    fn assemble() -> Self {
        let root = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_nightlatch");
        let assembled = Command::new(path("contrib/container/assemble-root"))
            .arg(program)
            .arg(root.path())
            .output();
        let assembled = assembled.unwrap();
        assert!(
            assembled.status.success(),
            "{}",
            String::from_utf8_lossy(&assembled.stderr)
        );
        // Other users must be able to enter it: `tempdir` makes it for its owner only.
        let opened = Command::new("chmod").arg("0755").arg(root.path()).status();
        assert!(opened.unwrap().success());
        let pairs = instruction("ENV").into_iter();
        let environment = pairs.map(|pair| {
            pair.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        });
        Self {
            root,
            environment: environment.map(Option::unwrap).collect(),
        }
    }

    fn command(&self, bind: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        if is_root() {
            command.arg("--userspec=65532:65532");
        } else {
            command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "chroot"]);
        }
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.arg(self.root.path()).arg("/usr/bin/nightlatch").args(arguments);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null());
        command
            .envs(environment.filter(|(name, _)| *name != "PATH"))
            .env("NIGHTLATCH_BIND", bind);
        command.env("DATABASE_URL", "sqlite:/var/lib/nightlatch/nightlatch.db");
        command
    }

    fn run(&self, bind: &str, arguments: &[&str]) -> Output {
        self.command(bind, arguments).output().unwrap()
    }
}

fn is_root() -> bool {
    Path::new("/proc/self").metadata().unwrap().uid() == 0
}

/// A server that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when the process has already ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn the_program_serves_from_the_image_and_its_health_is_checked() {
    let image = Image::assemble();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Bound to every address, as in the image; the check uses this machine.
    let bind = format!("0.0.0.0:{}", address.port());
    let check = image.run(&bind, &["health"]);
    assert_eq!(check.status.code(), Some(1), "nothing answers yet");
    let mut serve = image.command(&bind, &["serve"]);
    let server = Running(serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("the check succeeds", || image.run(&bind, &["health"]).status.success());
    assert_eq!(image.run(&bind, &["health"]).stdout, b"ready\n");
    let database = image
        .root
        .path()
        .join("var/lib/nightlatch/nightlatch.db")
        .metadata()
        .unwrap();
    assert!(!is_root() || database.uid() == 65532, "{}", database.uid());
    drop(server);
    assert_eq!(image.run(&bind, &["health"]).status.code(), Some(1));
}

#[test]
fn the_compose_file_fits_the_image_and_the_shipped_proxy_files() {
    let values = yaml::values(COMPOSE);
    let mut bind = None;
    for (name, value) in &values {
        if let Some(variable) = name.strip_prefix("services.gateway.environment.") {
            assert_is_setting(COMPOSE, variable);
            if variable == "NIGHTLATCH_BIND" {
                bind = Some(value.as_str());
            }
        }
    }
    assert!(
        read("contrib/nginx.conf").contains(bind.unwrap()),
        "nginx asks where Nightlatch serves"
    );
    assert_eq!(yaml::values_of(&values, "gateway.read_only"), ["true"]);
    assert_eq!(yaml::values_of(&values, "gateway.cap_drop"), ["ALL"]);
    let build = yaml::values_of(&values, "gateway.build.dockerfile");
    assert_eq!(build, [CONTAINERFILE]);
    let folder = path("contrib/container");
    let context = yaml::values_of(&values, "gateway.build.context");
    assert_eq!(
        folder.join(context[0]).canonicalize().unwrap(),
        path("").canonicalize().unwrap()
    );
    for volume in yaml::values_of(&values, "nginx.volumes") {
        let source = volume.split(':').next().unwrap();
        assert!(folder.join(source).exists(), "{source}");
    }
    let application = yaml::values_of(&values, "WHOAMI_PORT_NUMBER");
    assert!(read("contrib/nginx.conf").contains(&format!("127.0.0.1:{}", application[0])));
}

#[test]
fn the_version_names_the_commit_when_the_build_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let output = command(dir.path()).arg("--version").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    let expected = match option_env!("NIGHTLATCH_COMMIT") {
        Some(commit) => format!("nightlatch {} ({commit})\n", env!("CARGO_PKG_VERSION")),
        None => format!("nightlatch {}\n", env!("CARGO_PKG_VERSION")),
    };
    assert_eq!(version, expected);
    for file in ["contrib/debian/build", CONTAINERFILE] {
        assert!(read(file).contains("NIGHTLATCH_COMMIT"), "{file} names it");
    }
}

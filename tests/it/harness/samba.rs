//! Samba as the domain controller of an Active Directory domain, started by the test. Making a
//! domain takes ten seconds and more, so it is made once and then copied. Needs root: a domain
//! controller listens on ports below 1024.

use super::server::eventually;
use ldap3::{LdapConnAsync, LdapConnSettings, Mod, Scope, SearchEntry};
use std::{
    collections::HashSet,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The domain's distinguished name.
pub const DOMAIN_DN: &str = "DC=corp,DC=example,DC=test";
/// The domain's name in Kerberos, which follows the `@` of a user principal name.
pub const REALM: &str = "corp.example.test";
/// The password of every person and of the service account, as complex as the domain wants it.
pub const PERSON_PASSWORD: &str = "Copper-meadow-7";
/// How many wrong passwords lock a person.
pub const LOCKOUT_THRESHOLD: &str = "6";

const ADMINISTRATOR_PASSWORD: &str = "Admin-Secret-1";
/// Bits of `userAccountControl`: an ordinary account, and a disabled one.
const ORDINARY: &str = "512";
const DISABLED: &str = "514";

/// A running domain controller. `linus` is in `Wiki`, `grace` in `Wheel`, which is in `Nightlatch
/// Admins`; both groups are in `Staff`. `nightlatch` is an ordinary account that searches.
pub struct Samba {
    child: Child,
    directory: tempfile::TempDir,
    address: Ipv4Addr,
}

/// The distinguished name of a person or a group.
pub fn dn(name: &str) -> String {
    format!("CN={name},CN=Users,{DOMAIN_DN}")
}

impl Samba {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy_domain(directory.path());
        let address = free_address();
        let made = rcgen::generate_simple_self_signed(vec![address.to_string()]).unwrap();
        let tls = directory.path().join("private/tls");
        fs::create_dir_all(&tls).unwrap();
        for name in ["cert.pem", "ca.pem"] {
            fs::write(tls.join(name), made.cert.pem()).unwrap();
        }
        fs::write(tls.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        // It refuses a key that others may read.
        fs::set_permissions(tls.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
        let configuration = directory.path().join("etc/smb.conf");
        fs::write(&configuration, describe(directory.path(), address)).unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let child = program("samba")
            .arg("-s")
            .arg(&configuration)
            .args(["-i", "-M", "single", "--no-process-group"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut samba = Self {
            child,
            directory,
            address,
        };
        samba.wait_until_it_answers();
        samba.fill();
        samba
    }

    /// The address with TLS.
    pub fn tls_url(&self) -> String {
        format!("ldaps://{}:636", self.address)
    }

    /// The address without TLS, for StartTLS.
    pub fn plain_url(&self) -> String {
        format!("ldap://{}:389", self.address)
    }

    /// The file with its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("private/tls/cert.pem")
    }

    /// Adds a person with [`PERSON_PASSWORD`].
    pub fn add_person(&self, name: &str) {
        let quoted: Vec<u8> = format!("\"{PERSON_PASSWORD}\"")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let values = [
            ("objectClass", b"user".to_vec()),
            ("sAMAccountName", name.into()),
            ("userPrincipalName", format!("{name}@{REALM}").into()),
            ("displayName", format!("{name} of Corp").into()),
            ("mail", format!("{name}@example.test").into()),
            ("userAccountControl", ORDINARY.into()),
            ("unicodePwd", quoted),
        ];
        self.add(&dn(name), values);
    }

    /// Adds a global group.
    pub fn add_group(&self, name: &str, members: &[&str]) {
        let values = [
            ("objectClass", b"group".to_vec()),
            ("sAMAccountName", name.into()),
            ("groupType", b"-2147483646".to_vec()),
        ];
        self.add(&dn(name), values);
        for member in members {
            self.add_to_group(name, member);
        }
    }

    pub fn add_to_group(&self, group: &str, member: &str) {
        self.modify(&dn(group), Mod::Add("member", HashSet::from([dn(member).as_str()])));
    }

    /// The value of an attribute of a person, as the administrator sees it.
    pub fn value(&self, name: &str, attribute: &str) -> Option<String> {
        let dn = dn(name);
        self.as_administrator(async |ldap| {
            let found = ldap.search(&dn, Scope::Base, "(objectClass=*)", [attribute]).await;
            let (mut entries, _) = found.unwrap().success().unwrap();
            let entry = SearchEntry::construct(entries.remove(0));
            Some(entry.attrs.get(attribute)?.first()?.clone())
        })
    }

    pub fn remove_from_group(&self, group: &str, name: &str) {
        self.modify(&dn(group), Mod::Delete("member", HashSet::from([dn(name).as_str()])));
    }

    /// Replaces the value of an attribute.
    pub fn replace(&self, name: &str, attribute: &str, value: &str) {
        self.modify(&dn(name), Mod::Replace(attribute, HashSet::from([value])));
    }

    pub fn disable(&self, name: &str) {
        self.replace(name, "userAccountControl", DISABLED);
    }

    /// Makes a person's account expire at a time of the past (FILETIME).
    pub fn expire(&self, name: &str) {
        self.replace(name, "accountExpires", "132000000000000000");
    }

    pub fn must_change_password(&self, name: &str) {
        self.replace(name, "pwdLastSet", "0");
    }

    /// Allows a person no hour of the week.
    pub fn forbid_all_hours(&self, name: &str) {
        let hours = String::from_utf8(vec![0; 21]).unwrap();
        self.replace(name, "logonHours", &hours);
    }

    /// Gives a person another username and user principal name, and moves the entry accordingly.
    pub fn rename(&self, name: &str, other: &str) {
        self.replace(name, "sAMAccountName", other);
        self.replace(name, "userPrincipalName", &format!("{other}@{REALM}"));
        let (dn, rdn) = (dn(name), format!("CN={other}"));
        self.as_administrator(async |ldap| ldap.modifydn(&dn, &rdn, true, None).await.unwrap().success().unwrap());
    }

    /// Locks a person by wrong passwords, as anyone could.
    pub fn lock(&self, name: &str) {
        let dn = dn(name);
        for _ in 0..LOCKOUT_THRESHOLD.parse().unwrap() {
            self.connected(async |ldap| assert_eq!(ldap.simple_bind(&dn, "wrong").await.unwrap().rc, 49));
        }
    }

    fn add<const N: usize>(&self, dn: &str, values: [(&str, Vec<u8>); N]) {
        let attributes: Vec<(Vec<u8>, HashSet<Vec<u8>>)> = values
            .into_iter()
            .map(|(name, value)| (name.into(), HashSet::from([value])))
            .collect();
        self.as_administrator(async |ldap| ldap.add(dn, attributes).await.unwrap().success().unwrap());
    }

    fn modify(&self, dn: &str, change: Mod<&str>) {
        self.as_administrator(async |ldap| ldap.modify(dn, vec![change]).await.unwrap().success().unwrap());
    }

    fn as_administrator<T: Send>(&self, act: impl AsyncFnOnce(&mut ldap3::Ldap) -> T + Send) -> T {
        let dn = dn("Administrator");
        self.connected(async |ldap| {
            let bound = ldap.simple_bind(&dn, ADMINISTRATOR_PASSWORD).await.unwrap();
            bound.success().unwrap();
            act(ldap).await
        })
    }

    /// Acts on a connection with TLS, in a thread of its own, because a test may be inside a
    /// runtime.
    fn connected<T: Send>(&self, act: impl AsyncFnOnce(&mut ldap3::Ldap) -> T + Send) -> T {
        let url = self.tls_url();
        let connecting = async || {
            let settings = LdapConnSettings::new().set_no_tls_verify(true);
            let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &url).await.unwrap();
            tokio::spawn(async move { connection.drive().await.ok() });
            act(&mut ldap).await
        };
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(connecting())
            });
            thread.join().unwrap()
        })
    }

    fn wait_until_it_answers(&mut self) {
        for port in [389, 636] {
            eventually("samba answers", || {
                let ended = self.child.try_wait().unwrap();
                let log = || fs::read_to_string(self.directory.path().join("log")).unwrap();
                assert!(ended.is_none(), "samba has ended: {}", log());
                TcpStream::connect((self.address, port)).is_ok()
            });
        }
    }

    fn fill(&self) {
        self.modify(
            DOMAIN_DN,
            Mod::Replace("lockoutThreshold", HashSet::from([LOCKOUT_THRESHOLD])),
        );
        for name in ["nightlatch", "ada", "grace", "linus"] {
            self.add_person(name);
        }
        self.add_group("Wheel", &["grace"]);
        self.add_group("Nightlatch Admins", &["Wheel"]);
        self.add_group("Wiki", &["linus"]);
        self.add_group("Staff", &["Wiki", "Nightlatch Admins", "ada"]);
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn program(name: &str) -> Command {
    let path = PathBuf::from("/usr/sbin").join(name);
    Command::new(if path.exists() { path } else { name.into() })
}

/// A loopback address of which nobody uses the ports. Its ports are fixed, so that every controller
/// has an address of its own.
fn free_address() -> Ipv4Addr {
    let start = std::process::id();
    let addresses = (0..1_000).map(|further| {
        let [.., high, low] = (start + further).to_be_bytes();
        Ipv4Addr::new(127, 77, high, low)
    });
    let is_free = |address: &Ipv4Addr| {
        [389, 636]
            .iter()
            .all(|port| TcpListener::bind((*address, *port)).is_ok())
    };
    addresses.filter(|address| !matches!(address.octets()[3], 0 | 255)).find(is_free).expect(
        "a domain controller needs the ports 389 and 636 of a loopback address, and the tests must run as root for it",
    )
}

/// Puts a domain into a folder, which must be empty.
fn copy_domain(to: &Path) {
    let version = program("samba").arg("-V").output().expect("samba is installed").stdout;
    let version = String::from_utf8(version)
        .unwrap()
        .trim()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("domain_of_{version}"));
    if !template.exists() {
        // One process at a time makes it.
        let lock = File::create(template.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if !template.exists() {
            let unfinished = template.with_extension("unfinished");
            fs::remove_dir_all(&unfinished).ok();
            make_domain(&unfinished);
            fs::rename(&unfinished, &template).unwrap();
        }
    }
    // Its databases are sparse, and its files have attributes; both are kept by cp.
    let copied = Command::new("cp").arg("-a").arg(template.join(".")).arg(to).status();
    assert!(copied.unwrap().success());
}

fn make_domain(directory: &Path) {
    fs::create_dir(directory).unwrap();
    let empty = directory.join("empty.conf");
    fs::write(&empty, "").unwrap();
    let made = Command::new("samba-tool")
        .args(["domain", "provision", "-s"])
        .arg(empty)
        .arg(format!("--targetdir={}", directory.display()))
        .arg(format!("--realm={REALM}"))
        .arg(format!("--adminpass={ADMINISTRATOR_PASSWORD}"))
        .args(["--domain=CORP", "--server-role=dc", "--dns-backend=NONE"])
        .args(["--host-name=dc1", "--host-ip=127.77.0.1"])
        .args(["--option=interfaces=127.77.0.1/8", "--option=bind interfaces only=yes"])
        .arg("--option=server services=ldap")
        .stdin(Stdio::null())
        .output()
        .expect("samba-tool is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// The configuration: every folder is its own, so that nothing is written into the system's.
fn describe(directory: &Path, address: Ipv4Addr) -> String {
    let dir = directory.display();
    format!(
        "[global]\n\
         realm = {REALM}\n\
         workgroup = CORP\n\
         netbios name = DC1\n\
         server role = active directory domain controller\n\
         server services = ldap\n\
         interfaces = {address}/8\n\
         bind interfaces only = yes\n\
         lock directory = {dir}\n\
         private dir = {dir}/private\n\
         state directory = {dir}/state\n\
         cache directory = {dir}/cache\n\
         binddns dir = {dir}/bind-dns\n\
         pid directory = {dir}\n\
         ncalrpc dir = {dir}/ncalrpc\n\
         winbindd socket directory = {dir}/winbindd\n\
         log file = {dir}/samba.log\n"
    )
}

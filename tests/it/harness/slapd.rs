//! OpenLDAP's server, started by the test with people, groups, TLS and a password policy.

use super::server::eventually;
use ldap3::{LdapConnAsync, Mod};
use nightlatch::domain::source::{SettingTexts, SourceDefinition, SourceKind};
use std::{
    collections::HashSet,
    fmt::Write as _,
    fs::File,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// The suffix of the tree.
pub const SUFFIX: &str = "dc=example,dc=test";
/// The service account, which may read everything but passwords.
pub const SERVICE_DN: &str = "cn=nightlatch,dc=example,dc=test";
/// Its password.
pub const SERVICE_PASSWORD: &str = "service secret";
/// The password of every person.
pub const PERSON_PASSWORD: &str = "copper meadow lantern";

const ROOT_DN: &str = "cn=root,dc=example,dc=test";
const ROOT_PASSWORD: &str = "root secret";

/// People: username, name. `grace` is in `admins`, `linus` in `wiki`, which is in `staff`.
const PEOPLE: [(&str, &str); 4] = [
    ("ada.l", "Ada Lovelace"),
    ("grace", "Grace Hopper"),
    ("linus", "Linus Torvalds"),
    ("b(*)\\", "Bobby Tables"),
];

/// A running server.
pub struct Slapd {
    child: Child,
    directory: tempfile::TempDir,
    port: u16,
    tls_port: u16,
}

/// The distinguished name of a person.
pub fn person_dn(name: &str) -> String {
    format!("uid={name},ou=people,{SUFFIX}")
}

/// The distinguished name of a group.
pub fn group_dn(name: &str) -> String {
    format!("cn={name},ou=groups,{SUFFIX}")
}

impl Slapd {
    pub fn start() -> Self {
        Self::with_more_people(0)
    }

    /// Starts it with further people, `extra0` to `extraN`.
    pub fn with_more_people(more: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("db")).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(directory.path().join("slapd.conf"), configuration(&directory)).unwrap();
        std::fs::write(directory.path().join("people.ldif"), entries(more)).unwrap();
        let loaded = program("slapadd")
            .args(["-q", "-f"])
            .arg(directory.path().join("slapd.conf"))
            .arg("-l")
            .arg(directory.path().join("people.ldif"))
            .output()
            .unwrap();
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        let (port, tls_port) = (free_port(), free_port());
        let slapd = Self {
            child: spawn(&directory, port, tls_port),
            directory,
            port,
            tls_port,
        };
        slapd.wait_until_it_answers();
        // The overlay that fills `memberOf` only sees what is written over LDAP.
        for (group, members) in [
            ("admins", vec![person_dn("grace")]),
            ("wiki", vec![person_dn("linus")]),
            ("staff", vec![group_dn("wiki"), person_dn("ada.l")]),
        ] {
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            slapd.add(
                &group_dn(group),
                &[
                    ("objectClass", &["groupOfNames"]),
                    ("cn", &[group]),
                    ("member", &members),
                ],
            );
        }
        slapd
    }

    /// Settings of a source for it: ldaps with its certificate.
    pub fn settings(&self) -> SettingTexts {
        let texts = [
            ("urls", format!("ldaps://localhost:{}", self.tls_port)),
            ("ca_file", self.certificate().display().to_string()),
            ("bind_dn", SERVICE_DN.to_owned()),
            ("base", SUFFIX.to_owned()),
            ("user_filter", "(&(objectClass=inetOrgPerson)(uid={}))".to_owned()),
            ("id_attribute", "entryUUID".to_owned()),
            ("name_attribute", "uid".to_owned()),
            ("group_lookup", "nested".to_owned()),
            ("connect_timeout", "2s".to_owned()),
            ("operation_timeout", "2s".to_owned()),
        ];
        texts.into_iter().map(|(key, text)| (key.to_owned(), text)).collect()
    }

    /// The same settings with some of them replaced.
    pub fn definition(&self, replaced: &[(&str, &str)]) -> SourceDefinition {
        let mut texts = self.settings();
        texts.extend(
            replaced
                .iter()
                .map(|(key, text)| ((*key).to_owned(), (*text).to_owned())),
        );
        SourceDefinition::parse(SourceKind::Ldap, &texts).unwrap()
    }

    /// The address without TLS, for StartTLS, at a host name or an IP address.
    pub fn plain_url(&self, host: &str) -> String {
        format!("ldap://{host}:{}", self.port)
    }

    pub fn tls_url(&self, host: &str) -> String {
        format!("ldaps://{host}:{}", self.tls_port)
    }

    /// The file with its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// How often a password was tried for a DN, by the server's own log.
    pub fn binds(&self, dn: &str) -> usize {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap();
        let bind = format!("BIND dn=\"{dn}\" method=128");
        log.lines().filter(|line| line.contains(&bind)).count()
    }

    /// The number of searches with a filter that contains `part`, by the server's own log.
    pub fn searches(&self, part: &str) -> usize {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap();
        let lines = log.lines().filter(|line| line.contains(" SRCH base="));
        lines.filter(|line| line.contains(part)).count()
    }

    /// Adds an entry.
    pub fn add(&self, dn: &str, attributes: &[(&str, &[&str])]) {
        let attributes: Vec<(&str, HashSet<&str>)> = attributes
            .iter()
            .map(|(name, values)| (*name, values.iter().copied().collect()))
            .collect();
        self.as_root(async |ldap| ldap.add(dn, attributes).await.unwrap().success().unwrap());
    }

    /// Adds a person.
    pub fn add_person(&self, name: &str) {
        self.add(
            &person_dn(name),
            &[
                ("objectClass", &["inetOrgPerson"]),
                ("uid", &[name]),
                ("cn", &[name]),
                ("sn", &[name]),
                ("userPassword", &[PERSON_PASSWORD]),
            ],
        );
    }

    pub fn delete(&self, dn: &str) {
        self.as_root(async |ldap| ldap.delete(dn).await.unwrap().success().unwrap());
    }

    /// Replaces the values of an attribute; none removes it.
    pub fn replace(&self, dn: &str, attribute: &str, values: &[&str]) {
        let change = vec![Mod::Replace(attribute, values.iter().copied().collect())];
        self.as_root(async |ldap| ldap.modify(dn, change).await.unwrap().success().unwrap());
    }

    /// Gives a person another username, and with it another DN.
    pub fn rename_person(&self, name: &str, other: &str) {
        let (dn, rdn) = (person_dn(name), format!("uid={other}"));
        self.as_root(async |ldap| ldap.modifydn(&dn, &rdn, true, None).await.unwrap().success().unwrap());
    }

    /// Locks a person as an administrator would (ppolicy).
    pub fn lock_person(&self, name: &str) {
        self.replace(&person_dn(name), "pwdAccountLockedTime", &["000001010000Z"]);
    }

    /// Stops answering; connections stay open. A thread that is at work stops a moment after the
    /// signal, and could answer once more.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
        let threads = format!("/proc/{}/task", self.child.id());
        eventually("every thread of slapd is stopped", || {
            std::fs::read_dir(&threads).unwrap().all(|thread| {
                let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
                // The state follows the name, which is in parentheses.
                stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
            })
        });
    }

    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Ends it at once, as a power failure would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same ports with the same entries.
    pub fn restart(&mut self) {
        self.child = spawn(&self.directory, self.port, self.tls_port);
        self.wait_until_it_answers();
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the process is our child and has not been waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    fn wait_until_it_answers(&self) {
        for port in [self.port, self.tls_port] {
            eventually("slapd answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
    }

    /// Acts in a thread of its own, because a test may be inside a runtime.
    fn as_root<T: Send>(&self, act: impl AsyncFnOnce(&mut ldap3::Ldap) -> T + Send) -> T {
        let url = self.plain_url("127.0.0.1");
        let acting = async || {
            let (connection, mut ldap) = LdapConnAsync::new(&url).await.unwrap();
            tokio::spawn(async move { connection.drive().await.ok() });
            let bound = ldap.simple_bind(ROOT_DN, ROOT_PASSWORD).await.unwrap();
            bound.success().unwrap();
            act(&mut ldap).await
        };
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(acting())
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn program(name: &str) -> Command {
    let places = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/bin"];
    let found = places
        .iter()
        .map(|place| PathBuf::from(place).join(name))
        .find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| name.into()))
}

fn spawn(directory: &tempfile::TempDir, port: u16, tls_port: u16) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(directory.path().join("log"))
        .unwrap();
    program("slapd")
        .arg("-f")
        .arg(directory.path().join("slapd.conf"))
        .args(["-h", &format!("ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/")])
        // In the foreground, with every operation in the log.
        .args(["-d", "256"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configuration(directory: &tempfile::TempDir) -> String {
    let dir = directory.path().display();
    format!(
        "include /etc/ldap/schema/core.schema\n\
         include /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\n\
         moduleload memberof\n\
         moduleload ppolicy\n\
         TLSCertificateFile {dir}/cert.pem\n\
         TLSCertificateKeyFile {dir}/key.pem\n\
         TLSCACertificateFile {dir}/cert.pem\n\
         security simple_bind=0\n\
         disallow bind_anon\n\
         database mdb\n\
         maxsize 1073741824\n\
         suffix \"{SUFFIX}\"\n\
         rootdn \"{ROOT_DN}\"\n\
         rootpw \"{ROOT_PASSWORD}\"\n\
         directory {dir}/db\n\
         dbnosync\n\
         index objectClass,uid,entryUUID,member eq\n\
         limits dn.exact=\"{SERVICE_DN}\" size.prtotal=unlimited\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"{SERVICE_DN}\" read by * none\n\
         overlay memberof\n\
         memberof-refint TRUE\n\
         overlay ppolicy\n\
         ppolicy_default \"cn=policy,{SUFFIX}\"\n\
         ppolicy_use_lockout\n"
    )
}

fn entries(more: usize) -> String {
    let mut ldif = format!(
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n\
         dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: groups\n\n\
         dn: {SERVICE_DN}\nobjectClass: device\nobjectClass: simpleSecurityObject\ncn: nightlatch\n\
         userPassword: {SERVICE_PASSWORD}\n\n\
         dn: cn=policy,{SUFFIX}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\n\
         pwdAttribute: userPassword\npwdLockout: TRUE\npwdMaxFailure: 8\npwdLockoutDuration: 300\n\n\
         dn: ou=elsewhere,ou=people,{SUFFIX}\nobjectClass: referral\nobjectClass: extensibleObject\n\
         ou: elsewhere\nref: ldap://127.0.0.1:1/ou=people,{SUFFIX}\n\n"
    );
    let extra = (0..more).map(|number| (format!("extra{number}"), format!("Extra {number}")));
    let people = PEOPLE
        .iter()
        .map(|(name, shown)| ((*name).to_owned(), (*shown).to_owned()));
    for (name, shown) in people.chain(extra) {
        let rdn = ldap3::dn_escape(name.as_str()).into_owned();
        writeln!(
            ldif,
            "dn: uid={rdn},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {shown}\nsn: {shown}\n\
             mail: {}@example.test\nuserPassword: {PERSON_PASSWORD}\n",
            name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        )
        .unwrap();
    }
    ldif
}

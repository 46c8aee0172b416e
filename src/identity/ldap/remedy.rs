//! What to do about the faults of directories: `source test` names it, and docs/sources.md has the
//! same table.

use super::error::DirectoryStep;

/// A fault as a step reports it, its usual cause, and the remedy.
struct KnownFault {
    /// The step; `None`: any.
    step: Option<DirectoryStep>,
    /// A part of the fault; empty: any fault of the step.
    says: &'static str,
    cause: &'static str,
    remedy: &'static str,
}

impl KnownFault {
    const fn new(step: DirectoryStep, says: &'static str, cause: &'static str, remedy: &'static str) -> Self {
        Self {
            step: Some(step),
            ..Self::anywhere(says, cause, remedy)
        }
    }

    const fn anywhere(says: &'static str, cause: &'static str, remedy: &'static str) -> Self {
        Self {
            step: None,
            says,
            cause,
            remedy,
        }
    }

    fn is(&self, step: DirectoryStep, fault: &str) -> bool {
        self.step.is_none_or(|known| known == step) && fault.contains(self.says)
    }
}

/// The first one that fits counts.
const KNOWN_FAULTS: &[KnownFault] = &[
    KnownFault::new(
        DirectoryStep::Resolve,
        "",
        "the name of the server has no address",
        "Check the host in urls, and the DNS of this server.",
    ),
    KnownFault::new(
        DirectoryStep::Connect,
        "refused",
        "nothing listens at the port",
        "Check host and port in urls, and that the directory runs.",
    ),
    KnownFault::new(
        DirectoryStep::Connect,
        "no answer",
        "the server is down, or a firewall drops the connection",
        "Check the firewalls between this server and the directory.",
    ),
    KnownFault::new(
        DirectoryStep::Connect,
        "",
        "the server cannot be reached",
        "Check host and port in urls, and the network of this server.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "UnknownIssuer",
        "the certificate's authority is not trusted",
        "Set ca_file to the certificate of the authority.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "BadSignature",
        "the certificate's authority is not trusted, but has the name of one that is",
        "Set ca_file to the certificate of the authority.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "CA:TRUE",
        "the server presents the authority's own certificate, as openssl req -x509 makes it",
        "Make one with -addext basicConstraints=CA:FALSE, or let the authority sign another for the server.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "not valid for name",
        "the certificate names another host",
        "Use the name in the certificate as the address.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "certificate expired",
        "the certificate of the directory, or of its authority, has expired",
        "Renew it.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "the CA file",
        "the file is missing, unreadable or holds no certificate",
        "Set ca_file to a PEM file that this server can read.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "the system has no CA certificates",
        "there are no certificates of authorities on this server",
        "Set ca_file, or install the package ca-certificates.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "(code 2)",
        "the directory offers no StartTLS",
        "Use ldaps://, or let the directory offer StartTLS.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "corrupt message",
        "the port does not speak TLS",
        "Use the port for ldaps://, or ldap:// with start_tls = true.",
    ),
    KnownFault::new(
        DirectoryStep::Tls,
        "",
        "the encryption could not be agreed on",
        "Use ldaps:// only with a port that speaks TLS, and start_tls = true only with one that does not.",
    ),
    KnownFault::new(
        DirectoryStep::ServiceBind,
        "(code 49)",
        "wrong service account or secret",
        "Check bind_dn, and enter the secret again.",
    ),
    KnownFault::new(
        DirectoryStep::ServiceBind,
        "encryption",
        "ldap:// without TLS",
        "Use ldaps:// or start_tls = true.",
    ),
    KnownFault::new(
        DirectoryStep::ServiceBind,
        "(code 48)",
        "the directory allows no such bind, for example no anonymous one",
        "Set bind_dn and the secret.",
    ),
    KnownFault::new(
        DirectoryStep::ServiceBind,
        "(code 34)",
        "bind_dn is not a DN",
        "Check bind_dn.",
    ),
    KnownFault::new(
        DirectoryStep::ServiceBind,
        "(code 53)",
        "the directory allows no such bind, for example no anonymous one",
        "Set bind_dn and the secret.",
    ),
    KnownFault::new(
        DirectoryStep::Search,
        "encryption",
        "ldap:// without TLS",
        "Use ldaps:// or start_tls = true.",
    ),
    KnownFault::new(
        DirectoryStep::Search,
        "(code 32)",
        "base does not exist, or the service account may not see it",
        "Check base, and what the service account may read.",
    ),
    KnownFault::new(DirectoryStep::Search, "(code 34)", "base is not a DN", "Check base."),
    KnownFault::new(
        DirectoryStep::Search,
        "(code 10)",
        "another server has the entries",
        "Use the address of that server, or a base that this one has.",
    ),
    KnownFault::new(
        DirectoryStep::Search,
        "(code 1)",
        "Active Directory: an anonymous search",
        "Set bind_dn and the secret.",
    ),
    KnownFault::new(
        DirectoryStep::Search,
        "(code 50)",
        "the service account may not search",
        "Let the service account read everything below base.",
    ),
    KnownFault::new(
        DirectoryStep::Search,
        "(code 4)",
        "the service account has a limit",
        "Raise it in the directory.",
    ),
    KnownFault::new(
        DirectoryStep::Search,
        "(code 11)",
        "the service account has a limit",
        "Raise it in the directory.",
    ),
    KnownFault::new(
        DirectoryStep::Search,
        "no entry matches the name",
        "there is no such person, or the service account may not read the entry",
        "Check base and user_filter, and what the service account may read.",
    ),
    KnownFault::new(
        DirectoryStep::Search,
        "several entries match the name",
        "user_filter or base is too wide",
        "Narrow it.",
    ),
    KnownFault::new(
        DirectoryStep::Search,
        "the entry lacks the attribute",
        "id_attribute or name_attribute is not in the entry, or the service account may not read it",
        "Check both, and what the service account may read.",
    ),
    KnownFault::new(
        DirectoryStep::Groups,
        "(code 32)",
        "group_base does not exist, or the service account may not see it",
        "Check group_base, and what the service account may read.",
    ),
    KnownFault::anywhere(
        "no answer",
        "the directory is slow: an attribute in a filter has no index, or there are too many entries",
        "Let the directory index the attributes, or raise operation_timeout.",
    ),
    KnownFault::anywhere(
        "(code 3)",
        "the directory is slow: an attribute in a filter has no index, or there are too many entries",
        "Let the directory index the attributes, or raise operation_timeout.",
    ),
    KnownFault::anywhere(
        "closed the connection",
        "the directory stopped, or ends idle connections",
        "Try again, and read the log of the directory.",
    ),
];

/// Returns what to do about a fault of a step, in a sentence; `None`: nothing is known.
pub fn find_remedy(step: DirectoryStep, fault: &str) -> Option<&'static str> {
    let known = KNOWN_FAULTS.iter().find(|known| known.is(step, fault));
    known.map(|known| known.remedy)
}

/// Returns the table of the documentation.
pub fn remedy_table() -> String {
    let mut table = "| `source test` says | cause | remedy |\n|---|---|---|\n".to_owned();
    for known in KNOWN_FAULTS {
        let step = known.step.map_or("any step", DirectoryStep::as_str);
        let says = match known.says.is_empty() {
            true => format!("`{step}`: anything else"),
            false => format!("`{step}: … {}`", known.says),
        };
        table.push_str(&format!("| {says} | {} | {} |\n", known.cause, known.remedy));
    }
    table
}

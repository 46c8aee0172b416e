//! Who runs a command, as the audit records it: by the operating system's word, never by `USER`, which is whatever its user says.

use crate::domain::account::invisible;

/// Where the names of this machine's users are. Those that a directory service knows are recorded by their number.
const USERS: &str = "/etc/passwd";
/// Characters kept of a name.
const NAME_KEPT: usize = 64;

/// The user of this process, always with its number; and who became it, when `sudo` says so.
pub fn operator() -> String {
    let users = std::fs::read(USERS).unwrap_or_default();
    let by_sudo = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
    described(
        &String::from_utf8_lossy(&users),
        rustix::process::getuid().as_raw(),
        by_sudo,
    )
}

fn described(users: &str, uid: u32, by_sudo: Option<u32>) -> String {
    let number = format!("uid {uid}");
    let sudo = by_sudo.map(|by| format!("sudo by {}", name_of(users, by).unwrap_or_else(|| format!("uid {by}"))));
    match (name_of(users, uid), sudo) {
        (Some(name), None) => format!("{name} ({number})"),
        (Some(name), Some(sudo)) => format!("{name} ({number}, {sudo})"),
        (None, None) => number,
        (None, Some(sudo)) => format!("{number} ({sudo})"),
    }
}

/// The first name of a number, in the lines `name:password:number:…` of `users`.
fn name_of(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        let name: String = name.chars().filter(|c| !invisible(*c)).take(NAME_KEPT).collect();
        (number.parse() == Ok(uid) && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::described;

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\n# a comment\n\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n\
                         second:x:1000:1000::/:/bin/sh\n:x:7:7::/:\nbroken\n";

    #[test]
    fn the_number_is_always_told_and_the_name_where_there_is_one() {
        assert_eq!(described(USERS, 0, None), "root (uid 0)");
        assert_eq!(described(USERS, 1000, None), "ada (uid 1000)");
        assert_eq!(described(USERS, 7, None), "uid 7");
        assert_eq!(described("", 42, None), "uid 42");
    }

    #[test]
    fn whoever_became_another_is_told_beside_it() {
        assert_eq!(described(USERS, 0, Some(1000)), "root (uid 0, sudo by ada)");
        assert_eq!(described(USERS, 0, Some(1234)), "root (uid 0, sudo by uid 1234)");
        assert_eq!(described(USERS, 7, Some(1000)), "uid 7 (sudo by ada)");
    }
}

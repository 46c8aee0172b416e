//! The account CSV: accepted values of each column, all faults together with their lines, and the
//! round trip of exports.

use nightlatch_domain::{
    account::Role,
    account_csv::{self, AccountColumn, AccountCsvLine, AccountEntry, ParsedAccountCsv},
    spreadsheet,
    time::Timestamp,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::properties::config;

fn read(text: &str) -> ParsedAccountCsv {
    account_csv::read(text.as_bytes())
}

fn faults(text: &str) -> Vec<(usize, Option<&'static str>)> {
    let faults = read(text).faults;
    faults.iter().map(|fault| (fault.line, fault.column)).collect()
}

fn only(text: &str) -> AccountCsvLine {
    let reading = read(text);
    assert_eq!(reading.faults, []);
    assert_eq!(reading.lines.len(), 1);
    reading.lines[0].clone()
}

#[test]
fn columns_come_in_any_order_and_spelling_and_absent_ones_say_nothing() {
    let line = only("\u{feff}Groups;NAME;Must change;E-mail\r\n\"ops, night\";Ada;x;ada@example.org\r\n;;;\r\n");
    assert_eq!((line.number, line.name.shown()), (2, "Ada"));
    assert_eq!(line.groups, Some(vec!["ops".to_owned(), "night".to_owned()]));
    assert_eq!(line.email, Some(Some("ada@example.org".to_owned())));
    assert_eq!(line.must_change, Some(true));
    assert_eq!(
        (line.display_name, line.role, line.expires_at, line.disabled),
        (None, None, None, None)
    );
}

#[test]
fn every_fault_names_its_line_and_column() {
    let text = "name,email,role,expires_at,must_change,disabled,groups\r\n\
                ada,nonsense,emperor,soon,perhaps,never,a\r\n\
                \r\n\
                \"bob\",,,,,,\r\n\
                \"c,d\",,,,,,\r\n\
                BOB,,,,,,\r\n\
                eve,,,,,,,surplus\r\n";
    let found = faults(text);
    for wanted in [
        (2, Some("email")),
        (2, Some("role")),
        (2, Some("expires_at")),
        (2, Some("must_change")),
        (2, Some("disabled")),
        (5, Some("name")),
        (6, Some("name")),
        (7, None),
    ] {
        assert!(found.contains(&wanted), "{wanted:?} in {found:?}");
    }
    assert_eq!(found.len(), 8);
    let reading = read(text);
    assert_eq!(reading.lines.len(), 1);
    assert_eq!((reading.lines[0].number, reading.lines[0].name.shown()), (4, "bob"));
    let said: Vec<String> = reading.faults.iter().map(ToString::to_string).collect();
    assert!(
        said.iter()
            .any(|said| said.contains("“emperor” is not accepted: member or administrator")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|said| said.contains("bob is already on line 4") || said.contains("BOB is already on line 4")),
        "{said:?}"
    );
}

#[test]
fn a_head_that_cannot_be_read_leaves_nothing_to_import() {
    for (text, words) in [
        ("", "empty"),
        ("\r\n\r\n", "empty"),
        (
            "email\r\na@example.org\r\n",
            "the first line of the file names the columns",
        ),
        ("name,colour\r\nada,red\r\n", "there is no column “colour”"),
        ("name,password\r\nada,secret\r\n", "passwords never come from a file"),
        ("name,name\r\nada,ada\r\n", "twice"),
        ("name\r\n\"ada\r\n", "never ends"),
    ] {
        let reading = read(text);
        assert_eq!(reading.lines, [], "{text:?}");
        assert!(
            reading.faults.iter().any(|fault| fault.message.contains(words)),
            "{text:?}: {:?}",
            reading.faults
        );
        assert!(!reading.faults.iter().any(|fault| fault.message.contains("secret")));
    }
}

#[test]
fn more_lines_than_the_limit_are_refused() {
    let lines = |number: usize| {
        let names: String = (0..number).map(|number| format!("user{number}\n")).collect();
        read(&format!("name\n{names}"))
    };
    assert_eq!(lines(account_csv::MAX_LINES).lines.len(), account_csv::MAX_LINES);
    let refused = lines(account_csv::MAX_LINES + 1);
    assert_eq!((refused.lines.len(), refused.faults.len()), (0, 1));
}

#[test]
fn extra_columns_of_the_list_are_ignored() {
    let reading = read("id,name,state,due_at\r\n7,ada,active,2999-01-01T00:00:00Z\r\n");
    assert_eq!(reading.passed_over, ["id", "state", "due_at"]);
    assert_eq!(reading.lines[0].expires_at, None);
}

#[test]
fn an_empty_cell_clears_what_can_be_empty_and_leaves_the_rest() {
    let known = AccountEntry {
        display_name: "Ada".to_owned(),
        email: Some("a@example.org".to_owned()),
        role: Role::Administrator,
        groups: vec!["ops".to_owned()],
        expires_at: Timestamp::parse_rfc3339("2999-01-01T00:00:00Z"),
        must_change: true,
        disabled: true,
        ..AccountEntry::new("ada")
    };
    let head = account_csv::head();
    let cleared = only(&format!("{head}ada,,,,,,,\r\n")).applied_to(known.clone());
    let wanted = AccountEntry {
        display_name: String::new(),
        email: None,
        groups: Vec::new(),
        expires_at: None,
        ..known.clone()
    };
    assert_eq!(cleared, wanted);
    assert_eq!(only("name\r\nADA\r\n").applied_to(known.clone()), known);
    let columns: Vec<AccountColumn> = known
        .differences(&cleared)
        .iter()
        .map(|difference| difference.column)
        .collect();
    assert_eq!(
        columns,
        [
            AccountColumn::DisplayName,
            AccountColumn::Email,
            AccountColumn::Groups,
            AccountColumn::ExpiresAt
        ]
    );
}

/// Characters that files trip over, and some that they do not.
fn text(most: usize) -> impl Strategy<Value = String> {
    let odd = select(vec![
        '=', '+', '-', '@', '\'', '"', ';', 'é', 'ß', '漢', ' ', 'a', 'Z', '0', '|',
    ]);
    vec(odd, 0..most).prop_map(|characters| characters.into_iter().collect::<String>().trim().to_owned())
}

fn entry() -> impl Strategy<Value = AccountEntry> {
    let name = text(12).prop_filter("a name", |name| {
        nightlatch_domain::account::AccountName::parse(name).is_ok()
    });
    let groups = vec(text(6).prop_filter("a group", |group| !group.is_empty()), 0..4).prop_map(|mut groups| {
        let mut seen = std::collections::BTreeSet::new();
        groups.retain(|group| seen.insert(group.clone()));
        groups
    });
    let at = option::of((0_i64..4_000_000_000_000_000).prop_map(Timestamp::from_micros));
    let email = option::of(Just("+a-b=c@example.org".to_owned()));
    let role = select(Role::ALL.to_vec());
    (name, text(20), email, role, groups, at, any::<bool>(), any::<bool>()).prop_map(
        |(name, display_name, email, role, groups, expires_at, must_change, disabled)| AccountEntry {
            name,
            display_name,
            email,
            role,
            groups,
            expires_at,
            must_change,
            disabled,
        },
    )
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn an_export_reads_back_without_a_change(entry in entry()) {
        let written = format!("{}{}", account_csv::head(), entry.record());
        for cell in spreadsheet::rows(written.as_bytes()).unwrap().iter().flat_map(|row| &row.cells) {
            prop_assert!(!cell.starts_with(['=', '+', '-', '@']), "{}", cell);
        }
        for text in [written.clone(), format!("\u{feff}{}", written.replace("\r\n", "\n"))] {
            let reading = read(&text);
            prop_assert_eq!(&reading.faults, &[]);
            prop_assert_eq!(reading.lines.len(), 1);
            prop_assert_eq!(reading.lines[0].applied_to(AccountEntry::new(&entry.name)), entry.clone());
            prop_assert!(entry.differences(&reading.lines[0].applied_to(entry.clone())).is_empty());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_fail(bytes in vec(any::<u8>(), 0..200)) {
        let reading = account_csv::read(&bytes);
        prop_assert!(!reading.faults.is_empty() || !reading.lines.is_empty() || !bytes.is_empty());
        for fault in reading.faults {
            prop_assert!(fault.line >= 1);
        }
    }
}

//! A file of accounts: which columns it has, what each accepts, what a line changes about an account, and how one is written.
//! How tables are written as text is `domain::spreadsheet`; who exists already is the flow's to know. Passwords never stand in it.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use super::{
    account::{
        AccountName, Role,
        profile::{check_profile, split_groups},
    },
    spreadsheet::{self, Row, guarded, unguarded},
    time::Timestamp,
};

/// What a file can say about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    Name,
    DisplayName,
    Email,
    Role,
    Groups,
    ExpiresAt,
    MustChange,
    Disabled,
}

impl Column {
    /// All of them, as they are written.
    pub const ALL: [Column; 8] = [
        Column::Name,
        Column::DisplayName,
        Column::Email,
        Column::Role,
        Column::Groups,
        Column::ExpiresAt,
        Column::MustChange,
        Column::Disabled,
    ];

    /// What its head says.
    pub const fn name(self) -> &'static str {
        match self {
            Column::Name => "name",
            Column::DisplayName => "display_name",
            Column::Email => "email",
            Column::Role => "role",
            Column::Groups => "groups",
            Column::ExpiresAt => "expires_at",
            Column::MustChange => "must_change",
            Column::Disabled => "disabled",
        }
    }

    /// What its cells may hold, in words for people.
    pub const fn accepts(self) -> &'static str {
        match self {
            Column::Name => "the user name: 1 to 128 characters, no commas; the only column that must be there",
            Column::DisplayName => "up to 128 characters; empty removes it",
            Column::Email => "an address like name@example.org; empty removes it",
            Column::Role => "member or administrator; empty leaves it, and makes new accounts members",
            Column::Groups => "groups separated by commas, up to 64 characters each; empty removes all",
            Column::ExpiresAt => {
                "2026-12-31, 2026-12-31 18:00 (UTC) or 2026-12-31T18:00:00Z, in the future; empty removes it"
            }
            Column::MustChange => "yes: the password must be changed at the next sign-in; no or empty leaves it",
            Column::Disabled => "yes or no; empty leaves it",
        }
    }
}

/// Columns of the list's export that only tell: they are passed over.
pub const TOLD: [&str; 10] = [
    "id",
    "state",
    "live_sessions",
    "created_at",
    "last_sign_in_at",
    "password_changed_at",
    "due_at",
    "due_by",
    "expired_at",
    "disabled_at",
];

/// More lines than this are refused.
pub const MOST_LINES: usize = 5_000;

/// One account as a file says it in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub display_name: String,
    pub email: Option<String>,
    pub role: Role,
    pub groups: Vec<String>,
    /// The account's own date, not the policy's.
    pub expires_at: Option<Timestamp>,
    pub must_change: bool,
    pub disabled: bool,
}

impl Entry {
    /// An account that nothing but its name is known of.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            display_name: String::new(),
            email: None,
            role: Role::Member,
            groups: Vec::new(),
            expires_at: None,
            must_change: false,
            disabled: false,
        }
    }

    /// What stands in a column.
    pub fn cell(&self, column: Column) -> String {
        let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
        match column {
            Column::Name => self.name.clone(),
            Column::DisplayName => self.display_name.clone(),
            Column::Email => self.email.clone().unwrap_or_default(),
            Column::Role => self.role.as_str().to_owned(),
            Column::Groups => self.groups.join(", "),
            Column::ExpiresAt => self.expires_at.map(Timestamp::to_rfc3339).unwrap_or_default(),
            Column::MustChange => yes(self.must_change),
            Column::Disabled => yes(self.disabled),
        }
    }

    /// Its line of a file.
    pub fn record(&self) -> String {
        let cells = Column::ALL.map(|column| self.cell(column));
        spreadsheet::record(cells.iter().map(|cell| guarded(cell)))
    }

    /// Where `new` differs, in the order of the columns. The spelling of a name is the account's own.
    pub fn differences(&self, new: &Entry) -> Vec<Difference> {
        let pairs = Column::ALL.map(|column| (column, self.cell(column), new.cell(column)));
        let differ = |(column, old, new): &(Column, String, String)| *column != Column::Name && old != new;
        let found = pairs.into_iter().filter(differ);
        found
            .map(|(column, old, new)| Difference { column, old, new })
            .collect()
    }
}

/// What a line changes, as its cells say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub column: Column,
    pub old: String,
    pub new: String,
}

/// The first line of a file.
pub fn head() -> String {
    spreadsheet::record(Column::ALL.map(|column| Cow::Borrowed(column.name())))
}

/// A line that can be read. `None`: the file says nothing about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1, the head included.
    pub number: usize,
    pub name: AccountName,
    pub display_name: Option<String>,
    pub email: Option<Option<String>>,
    pub role: Option<Role>,
    pub groups: Option<Vec<String>>,
    pub expires_at: Option<Option<Timestamp>>,
    pub must_change: Option<bool>,
    pub disabled: Option<bool>,
}

impl Line {
    /// The account as this line would have it.
    pub fn applied_to(&self, entry: Entry) -> Entry {
        Entry {
            name: entry.name,
            display_name: self.display_name.clone().unwrap_or(entry.display_name),
            email: self.email.clone().unwrap_or(entry.email),
            role: self.role.unwrap_or(entry.role),
            groups: self.groups.clone().unwrap_or(entry.groups),
            expires_at: self.expires_at.unwrap_or(entry.expires_at),
            must_change: self.must_change.unwrap_or(entry.must_change),
            disabled: self.disabled.unwrap_or(entry.disabled),
        }
    }
}

/// What is wrong with a line, where, and what is accepted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    /// Head of the column; `None`: the line as a whole.
    pub column: Option<&'static str>,
    pub message: String,
}

impl Fault {
    /// A fault of a cell.
    pub fn at(line: usize, column: Column, message: impl Into<String>) -> Self {
        Self {
            line,
            column: Some(column.name()),
            message: message.into(),
        }
    }

    /// Where it stands in a list: by line, then by column.
    pub fn place(&self) -> (usize, Option<usize>) {
        let column = |known: &Column| self.column == Some(known.name());
        (self.line, Column::ALL.iter().position(column))
    }

    fn line(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            column: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "line {}, {column}: {}", self.line, self.message),
            None => write!(f, "line {}: {}", self.line, self.message),
        }
    }
}

/// What reading a file came to: the good lines, all faults in the order of lines, and the columns that were passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    pub lines: Vec<Line>,
    pub faults: Vec<Fault>,
    pub passed_over: Vec<&'static str>,
    /// Dates on lines with faults: somebody else says whether they are over, so that a line's faults are told at once.
    pub faulty_dates: Vec<FaultyDate>,
}

/// What is known of a line with faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultyDate {
    pub number: usize,
    /// `None`: it is among the faults.
    pub name: Option<AccountName>,
    pub expires_at: Timestamp,
}

impl Reading {
    fn refused(fault: Fault) -> Self {
        Self {
            faults: vec![fault],
            ..Self::default()
        }
    }
}

/// Reads a file, all faults at once. A head that cannot be read leaves no lines.
pub fn read(bytes: &[u8]) -> Reading {
    let mut rows = match spreadsheet::rows(bytes) {
        Ok(rows) => rows.into_iter(),
        Err(error) => return Reading::refused(Fault::line(error.line, error.why)),
    };
    let Some(first) = rows.next() else {
        return Reading::refused(Fault::line(
            1,
            format!("the file is empty: its first line names the columns, {}", names()),
        ));
    };
    let mut reading = Reading::default();
    let Some(head) = read_head(&first, &mut reading) else {
        return reading;
    };
    if rows.len() > MOST_LINES {
        let found = rows.len();
        return Reading::refused(Fault::line(
            first.line,
            format!("{found} accounts: a file has at most {MOST_LINES}"),
        ));
    }
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        match read_line(&head, &row) {
            Err((faults, date)) => {
                reading.faults.extend(faults);
                reading.faulty_dates.extend(date);
            }
            Ok(line) => match named.insert(line.name.key().to_owned(), line.number) {
                None => reading.lines.push(line),
                Some(earlier) => {
                    named.insert(line.name.key().to_owned(), earlier);
                    let message = format!("{} stands on line {earlier} already", line.name.shown());
                    reading.faults.push(Fault::at(line.number, Column::Name, message));
                }
            },
        }
    }
    reading
}

fn names() -> String {
    Column::ALL.map(Column::name).join(", ")
}

/// `Display name`, `display-name` and `display_name` are one column.
fn bare(head: &str) -> String {
    head.to_lowercase().replace([' ', '-', '_'], "")
}

/// What each cell of a row is; `None`: one that is passed over.
fn read_head(row: &Row, reading: &mut Reading) -> Option<Vec<Option<Column>>> {
    let mut head: Vec<Option<Column>> = Vec::new();
    for cell in &row.cells {
        let name = bare(unguarded(cell.trim()));
        let column = Column::ALL.into_iter().find(|column| bare(column.name()) == name);
        match (column, TOLD.iter().find(|told| bare(told) == name)) {
            (Some(column), _) if head.contains(&Some(column)) => {
                reading
                    .faults
                    .push(Fault::at(row.line, column, "this column is there twice"));
            }
            (Some(_), _) => {}
            (None, Some(told)) => reading.passed_over.push(told),
            (None, None) if name.is_empty() => {}
            (None, None) if name.starts_with("passw") => {
                let message = format!(
                    "column “{}”: passwords never come from a file; new accounts get one-time passwords",
                    cell.trim()
                );
                reading.faults.push(Fault::line(row.line, message));
            }
            (None, None) => {
                let message = format!("there is no column “{}”; there are {}", cell.trim(), names());
                reading.faults.push(Fault::line(row.line, message));
            }
        }
        head.push(column);
    }
    if !head.contains(&Some(Column::Name)) {
        let message = "there is no such column: the first line of the file names the columns";
        reading.faults.push(Fault::at(row.line, Column::Name, message));
    }
    reading.faults.is_empty().then_some(head)
}

fn read_line(head: &[Option<Column>], row: &Row) -> Result<Line, (Vec<Fault>, Option<FaultyDate>)> {
    let mut faults = Vec::new();
    if row.cells.iter().skip(head.len()).any(|cell| !cell.trim().is_empty()) {
        let message = format!("{} cells, but the first line names {}", row.cells.len(), head.len());
        faults.push(Fault::line(row.line, message));
    }
    // A row that ends early says nothing about its last columns' accounts: as if they were empty.
    let cell = |column: Column| {
        let place = head.iter().position(|known| *known == Some(column))?;
        Some(unguarded(row.cells.get(place).map_or("", |cell| cell.trim())))
    };
    let mut fault = |column: Column, message: String| faults.push(Fault::at(row.line, column, message));
    let name = AccountName::parse(cell(Column::Name).unwrap_or_default())
        .map_err(|error| fault(Column::Name, error.to_string()))
        .ok();
    let mut word = |column: Column, read: &dyn Fn(&str) -> Option<bool>| {
        let text = cell(column).filter(|text| !text.is_empty())?;
        let read = read(text);
        if read.is_none() {
            fault(column, format!("“{text}” is not accepted: {}", column.accepts()));
        }
        read
    };
    let must_change = word(Column::MustChange, &yes_or_no);
    let disabled = word(Column::Disabled, &yes_or_no);
    let administrator = word(Column::Role, &|text| {
        Role::parse(&text.to_lowercase()).map(|role| role == Role::Administrator)
    });
    let expires_at = cell(Column::ExpiresAt).map(|text| match (text, Timestamp::parse_written(text)) {
        ("", _) => None,
        (_, Some(at)) => Some(at),
        (text, None) => {
            fault(
                Column::ExpiresAt,
                format!("“{text}” is not accepted: {}", Column::ExpiresAt.accepts()),
            );
            None
        }
    });
    let mut wrong = Vec::new();
    let profile = check_profile(
        cell(Column::DisplayName).unwrap_or_default(),
        cell(Column::Email).unwrap_or_default(),
        &split_groups(cell(Column::Groups).unwrap_or_default()),
        &mut wrong,
    );
    for (field, message) in wrong {
        faults.push(Fault {
            line: row.line,
            column: Some(field),
            message,
        });
    }
    faults.sort_by_key(Fault::place);
    match name {
        Some(name) if faults.is_empty() => Ok(Line {
            number: row.line,
            name,
            display_name: cell(Column::DisplayName).map(|_| profile.display_name),
            email: cell(Column::Email).map(|_| profile.email),
            role: administrator.map(|yes| if yes { Role::Administrator } else { Role::Member }),
            groups: cell(Column::Groups).map(|_| profile.groups),
            expires_at,
            must_change,
            disabled,
        }),
        name => {
            let date = expires_at.flatten().map(|expires_at| FaultyDate {
                number: row.line,
                name,
                expires_at,
            });
            Err((faults, date))
        }
    }
}

/// As people and spreadsheets write them.
fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "1" | "y" | "x" => Some(true),
        "no" | "false" | "0" | "n" => Some(false),
        _ => None,
    }
}

//! The account CSV: its columns and their accepted values (`account_csv/column`), the changes that
//! a line makes to an account, and the export. `spreadsheet` reads and writes the text of tables;
//! `flows::accounts::import` compares with existing accounts. The file never contains passwords.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use super::{
    account::{
        AccountName, Role,
        profile::{Profile, check_profile, split_groups},
    },
    spreadsheet::{self, SheetRow, guarded, unguarded},
    time::Timestamp,
};

mod column;

pub use column::{AccountColumn, READ_ONLY_COLUMNS};

/// Maximum number of lines of a file.
pub const MAX_LINES: usize = 5_000;

/// One account with all columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountEntry {
    /// The username, as its owner writes it.
    pub name: String,
    /// The name that is shown; may be empty.
    pub display_name: String,
    /// The email address.
    pub email: Option<String>,
    /// The role.
    pub role: Role,
    /// The groups, sorted.
    pub groups: Vec<String>,
    /// The account's own expiry date, not the policy's.
    pub expires_at: Option<Timestamp>,
    /// Whether the password must be changed at the next sign-in.
    pub must_change: bool,
    /// Whether an administrator disabled the account.
    pub disabled: bool,
}

impl AccountEntry {
    /// Creates an account with only a name.
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

    /// Returns the cell of a column.
    pub fn cell(&self, column: AccountColumn) -> String {
        let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
        match column {
            AccountColumn::Name => self.name.clone(),
            AccountColumn::DisplayName => self.display_name.clone(),
            AccountColumn::Email => self.email.clone().unwrap_or_default(),
            AccountColumn::Role => self.role.as_str().to_owned(),
            AccountColumn::Groups => self.groups.join(", "),
            AccountColumn::ExpiresAt => self.expires_at.map(Timestamp::to_rfc3339).unwrap_or_default(),
            AccountColumn::MustChange => yes(self.must_change),
            AccountColumn::Disabled => yes(self.disabled),
        }
    }

    /// Formats the account as a line of a file.
    pub fn record(&self) -> String {
        let cells = AccountColumn::ALL.map(|column| self.cell(column));
        spreadsheet::record(cells.iter().map(|cell| guarded(cell)))
    }

    /// Returns the differences of `new`, in the order of the columns. The account keeps the
    /// spelling of its name.
    pub fn differences(&self, new: &AccountEntry) -> Vec<Difference> {
        let pairs = AccountColumn::ALL.map(|column| (column, self.cell(column), new.cell(column)));
        let differ =
            |(column, old, new): &(AccountColumn, String, String)| *column != AccountColumn::Name && old != new;
        let found = pairs.into_iter().filter(differ);
        found
            .map(|(column, old, new)| Difference { column, old, new })
            .collect()
    }
}

/// A change of one cell, in the form in which cells are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The column that differs.
    pub column: AccountColumn,
    /// The cell that an export would contain now.
    pub old: String,
    /// The cell of the file.
    pub new: String,
}

/// Returns the first line of a file.
pub fn head() -> String {
    spreadsheet::record(AccountColumn::ALL.map(|column| Cow::Borrowed(column.name())))
}

/// A valid line. `None` in a field: the file does not contain that column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountCsvLine {
    /// The line number from 1, counting the heading.
    pub number: usize,
    /// The username.
    pub name: AccountName,
    /// The name that is shown; empty removes it. `None`: the file has no such column.
    pub display_name: Option<String>,
    /// The email address; `Some(None)` removes it.
    pub email: Option<Option<String>>,
    /// The role; `None` leaves it unchanged.
    pub role: Option<Role>,
    /// The groups; an empty list removes all.
    pub groups: Option<Vec<String>>,
    /// When the account expires; `Some(None)` removes it.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether the password must be changed at the next sign-in; `None` leaves it unchanged.
    pub must_change: Option<bool>,
    /// Whether the account is disabled; `None` leaves it unchanged.
    pub disabled: Option<bool>,
}

impl AccountCsvLine {
    /// Applies this line to an account.
    pub fn applied_to(&self, entry: AccountEntry) -> AccountEntry {
        AccountEntry {
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

/// A fault of a line, with its place and the accepted values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountCsvFault {
    /// The line of the file, counted from 1.
    pub line: usize,
    /// The heading of the column; `None`: the line as a whole.
    pub column: Option<&'static str>,
    /// What is wrong, for people.
    pub message: String,
}

impl AccountCsvFault {
    /// Creates a fault of a cell.
    pub fn in_column(line: usize, column: AccountColumn, message: impl Into<String>) -> Self {
        Self {
            line,
            column: Some(column.name()),
            message: message.into(),
        }
    }

    /// Returns the sort key: by line, then by column.
    pub fn place(&self) -> (usize, Option<usize>) {
        let column = |known: &AccountColumn| self.column == Some(known.name());
        (self.line, AccountColumn::ALL.iter().position(column))
    }

    fn in_line(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            column: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for AccountCsvFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "line {}, {column}: {}", self.line, self.message),
            None => write!(f, "line {}: {}", self.line, self.message),
        }
    }
}

/// The result of reading a file: the valid lines, all faults in the order of lines, and the columns
/// that were ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedAccountCsv {
    /// The accounts, in the order of the file.
    pub lines: Vec<AccountCsvLine>,
    /// What is wrong with the file; if there is anything, nothing is imported.
    pub faults: Vec<AccountCsvFault>,
    /// Read-only columns that the import ignores.
    pub passed_over: Vec<&'static str>,
    /// Dates on lines with faults. The caller checks whether they are in the past, so that all
    /// faults of a line are reported together.
    pub faulty_dates: Vec<FaultyDate>,
}

/// A date on a line that has other faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultyDate {
    /// The line of the file, counted from 1.
    pub number: usize,
    /// The name; `None`: it is one of the faults.
    pub name: Option<AccountName>,
    /// The date of the line.
    pub expires_at: Timestamp,
}

impl ParsedAccountCsv {
    fn refused(fault: AccountCsvFault) -> Self {
        Self {
            faults: vec![fault],
            ..Self::default()
        }
    }
}

/// Reads a file and reports all faults. Without a valid heading there are no lines.
pub fn read(bytes: &[u8]) -> ParsedAccountCsv {
    let mut rows = match spreadsheet::rows(bytes) {
        Ok(rows) => rows.into_iter(),
        Err(error) => return ParsedAccountCsv::refused(AccountCsvFault::in_line(error.line, error.why)),
    };
    let Some(first) = rows.next() else {
        return ParsedAccountCsv::refused(AccountCsvFault::in_line(
            1,
            format!("the file is empty: its first line names the columns, {}", names()),
        ));
    };
    let mut reading = ParsedAccountCsv::default();
    let Some(head) = read_head(&first, &mut reading) else {
        return reading;
    };
    if rows.len() > MAX_LINES {
        let found = rows.len();
        return ParsedAccountCsv::refused(AccountCsvFault::in_line(
            first.line,
            format!("{found} accounts: a file has at most {MAX_LINES}"),
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
                    let message = format!("{} is already on line {earlier}", line.name.shown());
                    reading
                        .faults
                        .push(AccountCsvFault::in_column(line.number, AccountColumn::Name, message));
                }
            },
        }
    }
    reading
}

fn names() -> String {
    AccountColumn::ALL.map(AccountColumn::name).join(", ")
}

/// Normalizes a heading: `Display name`, `display-name` and `display_name` are one column.
fn normalize_heading(head: &str) -> String {
    head.to_lowercase().replace([' ', '-', '_'], "")
}

/// Returns the column of each cell; `None`: an ignored one.
fn read_head(row: &SheetRow, reading: &mut ParsedAccountCsv) -> Option<Vec<Option<AccountColumn>>> {
    let mut head: Vec<Option<AccountColumn>> = Vec::new();
    for cell in &row.cells {
        let name = normalize_heading(unguarded(cell.trim()));
        let column = AccountColumn::ALL
            .into_iter()
            .find(|column| normalize_heading(column.name()) == name);
        match (
            column,
            READ_ONLY_COLUMNS
                .iter()
                .find(|column| normalize_heading(column) == name),
        ) {
            (Some(column), _) if head.contains(&Some(column)) => {
                reading.faults.push(AccountCsvFault::in_column(
                    row.line,
                    column,
                    "this column appears twice",
                ));
            }
            (Some(_), _) => {}
            (None, Some(column)) => reading.passed_over.push(column),
            (None, None) if name.is_empty() => {}
            (None, None) if name.starts_with("passw") => {
                let message = format!(
                    "column “{}”: passwords never come from a file; new accounts get one-time passwords",
                    cell.trim()
                );
                reading.faults.push(AccountCsvFault::in_line(row.line, message));
            }
            (None, None) => {
                let message = format!("there is no column “{}”; there are {}", cell.trim(), names());
                reading.faults.push(AccountCsvFault::in_line(row.line, message));
            }
        }
        head.push(column);
    }
    if !head.contains(&Some(AccountColumn::Name)) {
        let message = "there is no such column: the first line of the file names the columns";
        reading
            .faults
            .push(AccountCsvFault::in_column(row.line, AccountColumn::Name, message));
    }
    reading.faults.is_empty().then_some(head)
}

/// Reads the cells of one row and collects its faults.
struct RowReader<'a> {
    head: &'a [Option<AccountColumn>],
    row: &'a SheetRow,
    faults: Vec<AccountCsvFault>,
}

impl<'a> RowReader<'a> {
    /// Returns a trimmed cell; `None`: the file has no such column. A row that ends early counts as
    /// if its last cells were empty.
    fn cell(&self, column: AccountColumn) -> Option<&'a str> {
        let place = self.head.iter().position(|known| *known == Some(column))?;
        Some(unguarded(self.row.cells.get(place).map_or("", |cell| cell.trim())))
    }

    fn add_fault(&mut self, column: AccountColumn, message: String) {
        self.faults
            .push(AccountCsvFault::in_column(self.row.line, column, message));
    }

    fn refuse(&mut self, column: AccountColumn, text: &str) {
        self.add_fault(column, format!("“{text}” is not accepted: {}", column.accepts()));
    }

    /// Reads one of two words; an empty cell is `None`.
    fn read_flag(&mut self, column: AccountColumn, parse: impl Fn(&str) -> Option<bool>) -> Option<bool> {
        let text = self.cell(column).filter(|text| !text.is_empty())?;
        let flag = parse(text);
        if flag.is_none() {
            self.refuse(column, text);
        }
        flag
    }

    fn read_name(&mut self) -> Option<AccountName> {
        AccountName::parse(self.cell(AccountColumn::Name).unwrap_or_default())
            .map_err(|error| self.add_fault(AccountColumn::Name, error.to_string()))
            .ok()
    }

    fn read_expiry(&mut self) -> Option<Option<Timestamp>> {
        let text = self.cell(AccountColumn::ExpiresAt)?;
        let at = Timestamp::parse_written(text);
        if at.is_none() && !text.is_empty() {
            self.refuse(AccountColumn::ExpiresAt, text);
        }
        Some(at)
    }

    fn read_profile(&mut self) -> Profile {
        let mut wrong = Vec::new();
        let profile = check_profile(
            self.cell(AccountColumn::DisplayName).unwrap_or_default(),
            self.cell(AccountColumn::Email).unwrap_or_default(),
            &split_groups(self.cell(AccountColumn::Groups).unwrap_or_default()),
            &mut wrong,
        );
        self.faults
            .extend(wrong.into_iter().map(|(field, message)| AccountCsvFault {
                line: self.row.line,
                column: Some(field),
                message,
            }));
        profile
    }

    fn check_length(&mut self) {
        let (cells, named) = (&self.row.cells, self.head.len());
        if cells.iter().skip(named).any(|cell| !cell.trim().is_empty()) {
            let message = format!("{} cells, but the first line names {named}", cells.len());
            self.faults.push(AccountCsvFault::in_line(self.row.line, message));
        }
    }
}

fn read_line(
    head: &[Option<AccountColumn>],
    row: &SheetRow,
) -> Result<AccountCsvLine, (Vec<AccountCsvFault>, Option<FaultyDate>)> {
    let mut reader = RowReader {
        head,
        row,
        faults: Vec::new(),
    };
    reader.check_length();
    let name = reader.read_name();
    let must_change = reader.read_flag(AccountColumn::MustChange, yes_or_no);
    let disabled = reader.read_flag(AccountColumn::Disabled, yes_or_no);
    let administrator = reader.read_flag(AccountColumn::Role, |text| {
        Role::parse(&text.to_lowercase()).map(|role| role == Role::Administrator)
    });
    let expires_at = reader.read_expiry();
    let profile = reader.read_profile();
    reader.faults.sort_by_key(AccountCsvFault::place);
    match name {
        Some(name) if reader.faults.is_empty() => Ok(AccountCsvLine {
            number: row.line,
            name,
            display_name: reader.cell(AccountColumn::DisplayName).map(|_| profile.display_name),
            email: reader.cell(AccountColumn::Email).map(|_| profile.email),
            role: administrator.map(|yes| if yes { Role::Administrator } else { Role::Member }),
            groups: reader.cell(AccountColumn::Groups).map(|_| profile.groups),
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
            Err((reader.faults, date))
        }
    }
}

/// Parses yes or no as people and spreadsheets write them.
fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "1" | "y" | "x" => Some(true),
        "no" | "false" | "0" | "n" => Some(false),
        _ => None,
    }
}

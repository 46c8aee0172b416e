//! A page as a reader sees it: heading, messages, rows and cells, forms and their fields, instead
//! of its HTML.
//!
//! Text is the visible text: white space is collapsed, hidden elements and text only for screen
//! readers (`.vh`) are left out. If something is missing, the test fails with what the page
//! contains instead.

use super::client::Answer;
use scraper::{ElementRef, Html, Node, Selector};

/// A parsed page.
pub struct Page {
    html: Html,
}

impl Answer {
    /// The answer's body as a page.
    pub fn page(&self) -> Page {
        Page {
            html: Html::parse_document(self.text()),
        }
    }
}

impl Page {
    /// The page's main heading.
    pub fn heading(&self) -> String {
        self.all("h1").first().map(Part::text).unwrap_or_default()
    }

    /// Returns the visible text of the page, including the navigation.
    pub fn text(&self) -> String {
        Part(self.html.root_element()).text()
    }

    /// Returns whether the page shows this text.
    pub fn shows(&self, text: &str) -> bool {
        self.text().contains(&collapse(text))
    }

    /// Returns the messages apart from the content: flashes, callouts, and statuses.
    pub fn messages(&self) -> Vec<String> {
        let messages = self.all("main .flash, main .callout, main [role=status], main [role=alert]");
        let texts = messages.iter().map(Part::text);
        texts.filter(|text| !text.is_empty()).collect()
    }

    /// Returns the error message beside a field.
    pub fn fault(&self, field: &str) -> Option<String> {
        let id = field.replace('.', "-");
        self.all(&format!("[id=\"{id}-fault\"]")).first().map(Part::text)
    }

    /// The first link of this text.
    #[track_caller]
    pub fn link(&self, text: &str) -> String {
        Part(self.html.root_element()).link(text)
    }

    /// Returns the subject of every row of the page's tables.
    pub fn rows(&self) -> Vec<String> {
        let rows = self.all("tbody tr");
        rows.iter().map(Part::subject).collect()
    }

    /// The first row about this subject.
    #[track_caller]
    pub fn row(&self, subject: &str) -> Part<'_> {
        let found = self.find_row(subject);
        found.unwrap_or_else(|| panic!("no row {subject:?}, but {:?}", self.rows()))
    }

    /// The first row about this subject, if there is one.
    pub fn find_row(&self, subject: &str) -> Option<Part<'_>> {
        self.all("tbody tr").into_iter().find(|row| row.subject() == subject)
    }

    /// The rows whose cell in this column has this text in it.
    pub fn rows_with(&self, column: &str, text: &str) -> Vec<Part<'_>> {
        let mut rows = self.all("tbody tr");
        rows.retain(|row| row.cell(column).contains(text));
        rows
    }

    /// The form that is sent to this address, its query left out: `/admin/policy`.
    #[track_caller]
    pub fn form(&self, action: &str) -> Part<'_> {
        let forms = self.all("form");
        let address = |form: &Part| {
            form.attribute("action")
                .split('?')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let addresses: Vec<String> = forms.iter().map(address).collect();
        let found = forms
            .into_iter()
            .zip(&addresses)
            .find(|(_, address)| *address == action);
        found
            .unwrap_or_else(|| panic!("no form {action:?}, but {addresses:?}"))
            .0
    }

    /// The form that has a field of this name.
    #[track_caller]
    pub fn form_with(&self, field: &str) -> Part<'_> {
        let mut forms = self.all("form").into_iter();
        let found = forms.find(|form| form.fields().iter().any(|(name, _)| name == field));
        found.unwrap_or_else(|| panic!("no form with a field {field:?}: {}", self.text()))
    }

    /// Elements by CSS selector, for what the methods above do not know.
    pub fn all(&self, selector: &str) -> Vec<Part<'_>> {
        Part(self.html.root_element()).all(selector)
    }
}

/// A piece of a page: a row, a form, a section.
#[derive(Clone, Copy)]
pub struct Part<'a>(ElementRef<'a>);

impl<'a> Part<'a> {
    /// Returns its visible text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        write_text(self.0, &mut text);
        collapse(&text)
    }

    /// Returns whether it shows this text.
    pub fn shows(&self, text: &str) -> bool {
        self.text().contains(&collapse(text))
    }

    /// Returns an attribute of its element; empty if it has none.
    pub fn attribute(&self, name: &str) -> &'a str {
        self.0.value().attr(name).unwrap_or_default()
    }

    /// Elements in it by CSS selector.
    pub fn all(&self, selector: &str) -> Vec<Part<'a>> {
        let selector = Selector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}"));
        self.0.select(&selector).map(Part).collect()
    }

    /// Returns the subject of a row: its header cell without badges, otherwise its first cell.
    fn subject(&self) -> String {
        let cell = self.all("th").into_iter().chain(self.all("td")).next();
        let link = cell.and_then(|cell| cell.all("a").into_iter().next());
        link.or(cell).map(|part| part.text()).unwrap_or_default()
    }

    /// The text of a row's cell in the column of this heading.
    #[track_caller]
    pub fn cell(&self, column: &str) -> String {
        let cells = self.all("th, td");
        let labels: Vec<String> = cells.iter().map(|cell| cell.column()).collect();
        match labels.iter().position(|label| label == column) {
            Some(place) => cells[place].text(),
            None => panic!("no column {column:?}, but {labels:?}"),
        }
    }

    /// Returns the heading of a cell's column.
    fn column(&self) -> String {
        if !self.attribute("data-label").is_empty() {
            return self.attribute("data-label").to_owned();
        }
        let place = self.0.prev_siblings().filter_map(ElementRef::wrap).count();
        let mut ancestors = self.0.ancestors().filter_map(ElementRef::wrap);
        let table = ancestors.find(|element| element.value().name() == "table");
        let headings = table.map(|table| Part(table).all("thead th")).unwrap_or_default();
        headings.get(place).map(Part::text).unwrap_or_default()
    }

    /// Returns the description of a term in a list of facts in it.
    #[track_caller]
    pub fn fact(&self, term: &str) -> String {
        let terms = self.all("dt");
        let Some(found) = terms.iter().find(|part| part.text() == term) else {
            panic!("no fact {term:?}, but {:?}", texts(&terms));
        };
        let value = found.0.next_siblings().find_map(ElementRef::wrap);
        value.map(|value| Part(value).text()).unwrap_or_default()
    }

    /// Where the first link of this text in it leads.
    #[track_caller]
    pub fn link(&self, text: &str) -> String {
        let links = self.all("a");
        let found = links.iter().find(|link| link.text() == text);
        let found = found.unwrap_or_else(|| panic!("no link {text:?}, but {:?}", texts(&links)));
        found.attribute("href").to_owned()
    }

    /// Addresses that its forms are sent to.
    pub fn actions(&self) -> Vec<&'a str> {
        self.all("form").iter().map(|form| form.attribute("action")).collect()
    }

    /// Returns names and values of a form that a browser would send without changes; buttons are
    /// left out.
    pub fn fields(&self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        for field in self.all("input[name], textarea[name], select[name]") {
            let is_choice = ["checkbox", "radio"].contains(&field.attribute("type"));
            if field.has("disabled") || (is_choice && !field.has("checked")) {
                continue;
            }
            let value = match field.0.value().name() {
                "textarea" => field.0.text().collect(),
                "select" => field.selected(),
                _ if is_choice && !field.has("value") => "on".to_owned(),
                _ => field.attribute("value").to_owned(),
            };
            fields.push((field.attribute("name").to_owned(), value));
        }
        fields
    }

    /// The value of a form's field.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        let fields = self.fields();
        match fields.iter().find(|(known, _)| known == name) {
            Some((_, value)) => value.clone(),
            None => panic!("no field {name:?}, but {fields:?}"),
        }
    }

    fn selected(&self) -> String {
        let options = self.all("option");
        let selected = options.iter().find(|option| option.has("selected"));
        let option = selected.or(options.first());
        option
            .map(|option| option.attribute("value").to_owned())
            .unwrap_or_default()
    }

    fn has(&self, attribute: &str) -> bool {
        self.0.value().attr(attribute).is_some()
    }
}

fn texts(parts: &[Part]) -> Vec<String> {
    parts.iter().map(Part::text).collect()
}

/// One space in place of every stretch of white space, as browsers show it; no-break spaces count
/// too.
fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Elements that flow within a line; every other element begins a new one.
const INLINE: [&str; 13] = [
    "a", "abbr", "b", "bdi", "button", "code", "em", "i", "kbd", "small", "span", "strong", "time",
];

/// Returns whether the element is hidden.
fn is_hidden(element: ElementRef) -> bool {
    let value = element.value();
    value.attr("hidden").is_some()
        || value.attr("aria-hidden") == Some("true")
        || value.classes().any(|class| class == "vh")
        || ["script", "style", "head", "svg"].contains(&value.name())
}

fn write_text(element: ElementRef, text: &mut String) {
    if is_hidden(element) {
        return;
    }
    let is_inline = INLINE.contains(&element.value().name());
    if !is_inline {
        text.push('\n');
    }
    for child in element.children() {
        match child.value() {
            Node::Text(part) => text.push_str(part),
            _ => {
                if let Some(child) = ElementRef::wrap(child) {
                    write_text(child, text);
                }
            }
        }
    }
    if !is_inline {
        text.push('\n');
    }
}

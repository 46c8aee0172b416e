//! What proxies asked, in words.

use super::view::{AskedLine, SeenLine, StrangerLine};
use crate::domain::forwarded::Asked;
use crate::flows::applications::{Seen, Strangers};

pub fn line(seen: &Seen) -> SeenLine {
    SeenLine {
        answered: seen.answered.as_ref().map(asked),
        unreadable: seen.unreadable.as_ref().map(asked),
    }
}

fn asked(asked: &Asked) -> AskedLine {
    AskedLine {
        at: asked.at,
        peer: asked.peer.to_string(),
        proxies: asked.dialect.proxies(),
        lacks: asked.lacks.clone(),
    }
}

/// Latest first, each with what would mend it.
pub fn strangers(strangers: &Strangers) -> Vec<StrangerLine> {
    let untrusted = strangers.untrusted.iter().map(|(peer, told)| StrangerLine {
        asked: asked(told),
        what: format!("{peer} asks like a proxy and is not trusted."),
        mend: format!("If it is your proxy, add {peer} to NIGHTLATCH_TRUSTED_PROXIES and restart."),
    });
    let unknown = strangers.unknown.iter().map(|(host, told)| StrangerLine {
        asked: asked(told),
        what: format!("{host} was asked for, and no application has it."),
        mend: "If it is to be protected, name it as a host of a new application or of one above.".to_owned(),
    });
    let stray = strangers.stray.iter().map(|(peer, told)| StrangerLine {
        asked: asked(told),
        what: format!("A question from {peer} could not be read: {}.", told.lacks.join("; ")),
        mend: remedies(told),
    });
    let mut all: Vec<StrangerLine> = untrusted.chain(unknown).chain(stray).collect();
    all.sort_by_key(|line| std::cmp::Reverse(line.asked.at));
    all
}

/// What to write into the proxy's file, as a sentence.
fn remedies(asked: &Asked) -> String {
    let headers = asked.lacks.iter().filter_map(|lack| lack.split(':').next());
    let remedies: Vec<String> = headers.map(|header| asked.dialect.remedy(header)).collect();
    format!("To mend it: {}.", remedies.join("; "))
}

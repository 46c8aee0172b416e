//! hue.ini: ConfigObj's syntax, Hue's values, and ignored keys.

use nightlatch_domain::policy::{
    Key, PolicyDocument, Scope, Value,
    interchange::{self, FileComment, PolicyFormat},
};

use super::{faults, imported, onto, said, value};
use crate::{document, set};

const WHOLE: &str = include_str!("hue.ini");

#[test]
fn a_whole_file_is_read_and_nothing_is_dropped_silently() {
    let came = imported(PolicyFormat::Hue, WHOLE);
    let mut expected = document(&[
        ("session.ttl", "12h"),
        ("session.secure", "on"),
        ("session.http_only", "on"),
        ("session.same_site", "Strict"),
        ("session.expire_at_browser_close", "off"),
        ("session.concurrent_user_session_limit", "2"),
        ("session.session_validation_mode", "strict"),
        ("session.session_ip_validation", "on"),
        ("session.session_ip_subnet_bits", "16"),
        ("session.session_allow_ip_changes", "-1"),
        ("auth.idle_session_timeout", "15m"),
        ("auth.change_default_password", "on"),
        ("auth.expires_after", "never"),
        ("auth.expire_superusers", "off"),
        ("auth.login_lock_out_at_failure", "on"),
        ("auth.login_failure_limit", "5"),
        ("auth.login_cooloff_time", "never"),
        ("auth.login_lock_out_by_combination_user_and_ip", "on"),
        ("auth.login_lock_out_use_user_agent", "off"),
    ]);
    let pattern = r"^(?=.*?[A-Z])(?=(.*[a-z]){1,})(?=(.*[\d]){1,}).{10,}$";
    set(
        &mut expected,
        &Scope::Everyone,
        &[
            ("password.regex", pattern),
            ("password.regex_hint", "Ten characters, # of each kind."),
        ],
    );
    assert_eq!(came.document, expected);
    let ignored: Vec<&str> = came.ignored.iter().map(|remark| remark.key.as_str()).collect();
    assert_eq!(
        ignored,
        [
            "desktop.secret_key",
            "desktop.http_host",
            "desktop.http_port",
            "desktop.time_zone",
            "desktop.auth.backend",
            "desktop.auth.force_username_lowercase",
            "desktop.session.cookie_name",
            "desktop.session.trusted_origins",
            "desktop.smtp.host",
            "desktop.database.options",
            "notebook.interpreters.hive.name",
            "useradmin.default_user_group",
            "useradmin.password_policy.pwd_hint",
        ]
    );
    let lines: Vec<&str> = WHOLE.lines().collect();
    for FileComment { line, key, .. } in came.ignored.iter().chain(&came.notes) {
        let name = key.rsplit('.').next().unwrap();
        assert!(
            lines[line.unwrap() - 1].trim_start().starts_with(name),
            "{line:?} {key}"
        );
    }
    assert!(said(&came.ignored)[4].contains("setup does this"));
    let all = format!("{:?}{:?}", came.ignored, came.notes);
    assert!(
        !all.contains("hunter2") && !all.contains("s3cret"),
        "values of others' keys stay in the file: {all}"
    );
}

#[test]
fn a_file_keeps_what_it_does_not_name() {
    let mut base = document(&[("session.ttl", "1h"), ("auth.idle_session_timeout", "10m")]);
    set(&mut base, &Scope::Administrators, &[("session.ttl", "30m")]);
    let came = onto(
        &base,
        PolicyFormat::Hue,
        "[desktop]\n[[auth]]\nidle_session_timeout=900\n",
    );
    set(&mut base, &Scope::Everyone, &[("auth.idle_session_timeout", "15m")]);
    assert_eq!(came.document, base);
    let came = onto(&base, PolicyFormat::Hue, "[desktop]\n[[session]]\n## ttl=60\n");
    assert_eq!(came.document, base);
    assert!(said(&came.notes)[0].starts_with("this file sets no setting of the session policy"));
}

#[test]
fn each_word_means_what_it_means_in_hue() {
    let flag = |on| Some(Value::Flag(on));
    let number = |number| Some(Value::Number(number));
    let cases = [
        ("session", "secure", "true", "session.secure", flag(true)),
        ("session", "secure", "Yes", "session.secure", flag(true)),
        ("session", "secure", "ON", "session.secure", flag(true)),
        ("session", "secure", "1", "session.secure", flag(true)),
        ("session", "secure", "yea", "session.secure", flag(true)),
        ("session", "secure", "False", "session.secure", flag(false)),
        ("session", "secure", "no", "session.secure", flag(false)),
        ("session", "secure", "off", "session.secure", flag(false)),
        ("session", "secure", "0", "session.secure", flag(false)),
        ("session", "secure", "nay", "session.secure", flag(false)),
        ("session", "secure", "", "session.secure", flag(false)),
        (
            "session",
            "samesite",
            "none",
            "session.same_site",
            Some(Value::Text("None".into())),
        ),
        (
            "session",
            "Session_ip_validation",
            "no",
            "session.session_ip_validation",
            flag(false),
        ),
        (
            "session",
            "Session_ip_subnet_bits",
            "8",
            "session.session_ip_subnet_bits",
            number(8),
        ),
        (
            "auth",
            "session_ip_subnet_bits",
            "8",
            "session.session_ip_subnet_bits",
            number(8),
        ),
        (
            "session",
            "session_allow_ip_changes",
            "-7",
            "session.session_allow_ip_changes",
            number(-1),
        ),
        (
            "auth",
            "idle_session_timeout",
            "900",
            "auth.idle_session_timeout",
            number(900),
        ),
        (
            "auth",
            "idle_session_timeout",
            "'900'",
            "auth.idle_session_timeout",
            number(900),
        ),
        (
            "auth",
            "idle-session_timeout",
            "-1",
            "auth.idle_session_timeout",
            number(-1),
        ),
        (
            "auth",
            "idle_session_timeout",
            "-300",
            "auth.idle_session_timeout",
            number(-1),
        ),
        (
            "auth",
            "idle_session_timeout",
            "0",
            "auth.idle_session_timeout",
            number(-1),
        ),
        ("auth", "expires_after", "-2", "auth.expires_after", number(-1)),
        ("auth", "expires_after", "0", "auth.expires_after", number(0)),
        (
            "auth",
            "login_cooloff_time",
            "60",
            "auth.login_cooloff_time",
            number(60),
        ),
        (
            "auth",
            "login_cooloff_time",
            "None",
            "auth.login_cooloff_time",
            number(-1),
        ),
        ("auth", "login_cooloff_time", "0", "auth.login_cooloff_time", number(-1)),
        (
            "auth",
            "login_cooloff_time",
            "-5",
            "auth.login_cooloff_time",
            number(-1),
        ),
        (
            "auth",
            "expire_superusers",
            "true",
            "auth.expire_superusers",
            flag(true),
        ),
        ("auth", "expire_superusers", "0", "auth.expire_superusers", flag(false)),
        ("auth", "expire_superusers", "1", "auth.expire_superusers", flag(true)),
        (
            "auth",
            "expire_superusers",
            "7776000",
            "auth.expire_superusers",
            number(7_776_000),
        ),
        ("auth", "expire_superusers", "-1", "auth.expire_superusers", flag(false)),
        (
            "auth",
            "login_lock_out_by_combination_browser_user_agent_and_ip",
            "true",
            "auth.login_lock_out_use_user_agent",
            flag(true),
        ),
    ];
    for (section, key, text, name, expected) in cases {
        let file = format!("[desktop]\n  [[{section}]]\n  {key} = {text}\n");
        let came = imported(PolicyFormat::Hue, &file);
        assert_eq!(value(&came, name), expected, "{file}");
        assert!(came.ignored.is_empty(), "{file}");
    }
}

#[test]
fn values_that_are_read_differently_get_a_comment() {
    let text = "[desktop]\n[[auth]]\nidle_session_timeout=0\nexpires_after=-300\nlogin_cooloff_time=None\nexpire_superusers=90\n[[session]]\nttl=60\nttl=90\n[desktop]\n[[session]]\nttl=120\n";
    let came = imported(PolicyFormat::Hue, text);
    let expected = [
        "line 3: desktop.auth.idle_session_timeout: 0 switches idle timeouts off in Hue: imported as never (-1)",
        "line 4: desktop.auth.expires_after: -300 means never, like any negative number: imported as -1",
        "line 5: desktop.auth.login_cooloff_time: None locks until an administrator unlocks: imported as never (-1)",
        "line 6: desktop.auth.expire_superusers: a number is imported as seconds, as Hue's documentation says; Hue's \
         code reads yes or no",
        "line 9: desktop.session.ttl: given again; it counts instead of line 8",
        "line 12: desktop.session.ttl: given again; it counts instead of line 9",
    ];
    assert_eq!(said(&came.notes), expected);
    assert_eq!(value(&came, "session.ttl"), Some(Value::Number(120)));
}

#[test]
fn the_pattern_counts_only_when_the_password_policy_is_on() {
    let file = |lines: &str| imported(PolicyFormat::Hue, &format!("[useradmin]\n[[password_policy]]\n{lines}"));
    let pattern = |came: &interchange::ImportedDocument| value(came, "password.regex");
    let text = |text: &str| Some(Value::Text(text.into()));
    let on = file("pwd_regex=\"^.{9,}$\"\nis_enabled=true\npwd_hint='Nine.'\n");
    assert_eq!(
        (pattern(&on), value(&on, "password.regex_hint")),
        (text("^.{9,}$"), text("Nine."))
    );
    assert!(on.notes.is_empty() && on.ignored.is_empty());
    let off = file("is_enabled=false\npwd_regex=\"^.{9,}$\"\n");
    assert_eq!(pattern(&off), text(""));
    assert!(said(&off.ignored)[0].contains("is_enabled=false"));
    let unsaid = file("pwd_regex=\"^.{9,}$\"\n");
    assert_eq!(pattern(&unsaid), text("^.{9,}$"));
    assert!(said(&unsaid.notes)[0].contains("is_enabled=true"));
    let unquoted = file("is_enabled=1\npwd_regex=^.{9,}$ # nine\n");
    assert_eq!(pattern(&unquoted), text("^.{9,}$"));
    assert!(said(&unquoted.notes)[0].contains("a comma outside quotes"));
    let maybe = "[useradmin]\n[[password_policy]]\nis_enabled=perhaps\n";
    assert_eq!(
        faults(PolicyFormat::Hue, maybe),
        ["useradmin.password_policy.is_enabled = perhaps: not yes or no; accepted: true or false (line 3)"]
    );
}

#[test]
fn text_is_read_as_configobj_reads_it() {
    let hint = |written: &str| {
        let file = format!("[useradmin]\n  [[password_policy]]\n    pwd_error_message{written}\n    # the end\n");
        value(&imported(PolicyFormat::Hue, &file), "password.regex_hint")
    };
    let cases = [
        (" = plain words", "plain words"),
        ("=cut here # a comment", "cut here"),
        ("=cut#here", "cut"),
        ("=\"a # b\" # c", "a # b"),
        ("= 'it says \"x\"'", "it says \"x\""),
        ("=\"don't\"", "don't"),
        ("=\"one\" two\"", "one\" two"),
        ("=don't", "don't"),
        ("='''both \" and ' '''", "both \" and ' "),
        ("=\"\"\"ends in \"\"\"\"", "ends in \""),
        ("=\"\"", ""),
        ("=", ""),
        ("=one, two", "one, two"),
    ];
    for (written, expected) in cases {
        assert_eq!(hint(written), Some(Value::Text(expected.into())), "{written}");
    }
    let shapes = [
        "\u{feff}[desktop]\r\n\t[[session]]\r\n\t\tttl=60\r\n",
        "[ desktop ] # core\n[ [ session ] ]\nttl = 60",
        "[\"desktop\"]\n[['session']]\n\"ttl\"=60",
        "[DESKTOP]\n[[Session]]\nTTL=60",
        "[desktop]\n[[auth]]\n[[[deep]]]\nx=1\n[[session]]\nttl=60 ; no comment\n[[session]]\nttl=60",
    ];
    for text in &shapes[..4] {
        assert_eq!(
            value(&imported(PolicyFormat::Hue, text), "session.ttl"),
            Some(Value::Number(60)),
            "{text}"
        );
    }
    assert_eq!(faults(PolicyFormat::Hue, shapes[4]).len(), 1, "; begins no comment");
    let several = "[desktop]\nsecret=\"\"\"\nttl=1\n[[session]]\n\"\"\"\n[[session]]\nttl=60\n";
    let came = imported(PolicyFormat::Hue, several);
    assert_eq!(came.document, document(&[("session.ttl", "60")]));
    assert_eq!(
        said(&came.ignored),
        ["line 2: desktop.secret: not a setting of the session policy"]
    );
}

#[test]
fn a_key_in_the_wrong_place_is_not_taken() {
    let text = "ttl=1\n[desktop]\nttl=2\n[[auth]]\nttl=3\n[[[session]]]\nttl=4\n[beeswax]\n[[session]]\nttl=5\n";
    let came = imported(PolicyFormat::Hue, text);
    assert_eq!(came.document, PolicyDocument::default());
    let said = said(&came.ignored);
    assert_eq!(said.len(), 5);
    assert!(said[0].starts_with("line 1: ttl: before the first [section]"));
    assert!(said[1].starts_with("line 3: desktop.ttl: belongs in [desktop] [[session]]"));
    assert!(said[2].starts_with("line 5: desktop.auth.ttl: belongs in [desktop] [[session]]"));
    assert!(said[4].ends_with("not about sessions"));
}

#[test]
fn all_faults_come_at_once_in_the_order_of_their_lines() {
    let text = "[desktop]\n[[auth]]\nidle_session_timeout=soon\npassword hunter2\nlogin_failure_limit=0\n[[[[deep]]]]\n[[session]\nttl=-1\nsecure=maybe\nsession_validation_mode=lax\nSession_ip_subnet_bits=25\n[useradmin] [[password_policy]]\n[[password_policy]]\nis_enabled=on\npwd_regex=\"(\"\npwd_error_message='open\n[]\nx=\"\"\"open\n";
    let faults = faults(PolicyFormat::Hue, text);
    let expected = [
        ("desktop.auth.idle_session_timeout = soon", "never", 3),
        ("not a [section]", "", 4),
        ("desktop.auth.login_failure_limit = 0", "from 1 to 100", 5),
        ("this section needs", "", 6),
        ("a section must be closed by as many brackets", "", 7),
        ("desktop.session.ttl = -1", "1 second to 10 years", 8),
        ("desktop.session.secure = maybe", "on or off", 9),
        ("desktop.session.session_validation_mode = lax", "strict, moderate", 10),
        ("desktop.session.Session_ip_subnet_bits = 25", "8, 16, 24 or 32", 11),
        ("a section must be on its own line", "", 12),
    ];
    for (fault, (begins, accepted, line)) in faults.iter().zip(expected) {
        assert!(fault.starts_with(begins), "{fault}");
        assert!(
            fault.contains(accepted) && fault.ends_with(&format!("(line {line})")),
            "{fault}"
        );
    }
    assert!(faults[10].starts_with("a section without a name"), "{faults:#?}");
    assert!(faults[11].starts_with("the quotes are not closed"), "{faults:#?}");
    assert_eq!(faults.len(), 12);
    assert!(!faults.concat().contains("hunter2"));
    let inner = "[useradmin]\n[[password_policy]]\npwd_regex=\"(\"\npwd_error_message='open\n[desktop]\n[[session]]\nttl=\"%(x)s\"\nsecure=\"\"\"never closed";
    let faults = super::faults(PolicyFormat::Hue, inner);
    let expected = [
        (
            "useradmin.password_policy.pwd_regex = (: not a supported regular expression",
            "(line 3)",
        ),
        (
            "useradmin.password_policy.pwd_error_message: the quotes are not closed",
            "(line 4)",
        ),
        ("desktop.session.ttl: refers to another key", "(line 7)"),
        ("the quotes are not closed", "(line 8)"),
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, (begins, ends)) in faults.iter().zip(expected) {
        assert!(fault.starts_with(begins) && fault.ends_with(ends), "{fault}");
    }
}

#[test]
fn an_export_has_the_form_of_the_product_with_comments() {
    let exported = interchange::export(
        PolicyFormat::Hue,
        &document(&[
            ("auth.idle_session_timeout", "15m"),
            ("auth.login_cooloff_time", "never"),
            ("session.secure", "on"),
            ("password.regex", "^.{9,}$"),
        ]),
    )
    .unwrap();
    assert_eq!(exported.lossy, []);
    let text = exported.text;
    for part in [
        "\n[desktop]\n\n  [[auth]]\n",
        "\n  [[session]]\n",
        "\n[useradmin]\n\n  [[password_policy]]\n",
        "\n    # Idle timeout: Ends a session",
        "\n    idle_session_timeout=900\n",
        "\n    login_cooloff_time=-1\n",
        "\n    secure=true\n",
        "\n    ## ttl=1209600\n",
        "\n    is_enabled=true\n",
        "\n    pwd_regex=\"^.{9,}$\"\n",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert_eq!(text.matches("[desktop]").count(), 1);
    let places = Key::ALL
        .iter()
        .filter(|key| key.setting().source.contains("Hue"))
        .count();
    let lines = text
        .lines()
        .filter(|line| line.contains('=') && !line.trim_start().starts_with("# "));
    assert_eq!(lines.filter(|line| !line.contains("is_enabled")).count(), places);
}

#[test]
fn settings_that_hue_ini_cannot_express_are_reported() {
    let mut base = document(&[
        ("auth.idle_session_timeout", "0"),
        ("auth.expire_superusers", "90d"),
        ("session.renewal_period", "1h"),
        ("password.regex_hint", "like %(other)s"),
    ]);
    set(&mut base, &Scope::Administrators, &[("session.ttl", "1h")]);
    set(&mut base, &Scope::Application("wiki".into()), &[("session.ttl", "1h")]);
    let exported = interchange::export(PolicyFormat::Hue, &base).unwrap();
    assert!(exported.text.contains("\n    idle_session_timeout=-1\n"));
    assert!(exported.text.contains("\n    expire_superusers=7776000\n"));
    let said = said(&exported.lossy);
    for part in [
        "password.regex_hint: has quotes before a # or a reference",
        "auth.idle_session_timeout: 0 (while a window is open) does not exist in Hue",
        "auth.expire_superusers: Hue's documentation",
        "auth.login_cooloff_time: not set",
        "session.renewal_period: Hue has no such setting",
        "session.ttl: Hue has one policy for everyone: settings for administrators",
        "session.ttl: Hue has one policy for everyone: settings for app:wiki",
    ] {
        assert!(said.iter().any(|said| said.starts_with(part)), "{part}: {said:#?}");
    }
    assert_eq!(said.len(), 7);
}

//! Tests of [`super`].

use super::{DatabaseUrl, SecretKey};

#[test]
fn a_database_url_never_shows_its_password() {
    for url in [
        "postgres://ada:hunter2@db/x",
        "postgres://ada:hun/ter2#hunter2@db:5432/x?sslmode=require",
        "postgres://ada:hunter2@one:5432,two:5432/x",
        "postgresql://db/x?user=ada&password=hunter2",
        "postgres://ada@db/x?password=hunter2@hunter2",
        "postgres:/ada:hunter2@db/x",
        "mysql://ada:hunter2@db/x",
        "postgres://nl:s3cr@t-hunter2@127.0.0.1:1/nl",
        "postgres://ada:hunter2/x",
        "postgres://ada:hunter2",
        "postgress://ada:hunter2/x",
        "host=db user=ada password=hunter2",
    ] {
        let shown = DatabaseUrl::new(url).to_string();
        assert!(!shown.contains("ter2"), "{shown}");
    }
    for (url, shown) in [
        ("postgres://ada:x@db/x", "postgres://ada@db/x"),
        ("postgres://db:5432/x?sslmode=require", "postgres://db:5432/x"),
        ("sqlite:here.db", "sqlite:here.db"),
        ("data/here.db", "data/here.db"),
    ] {
        assert_eq!(DatabaseUrl::new(url).to_string(), shown);
    }
}

#[test]
fn an_ambiguous_postgres_url_is_refused() {
    for url in [
        "postgres://nl:s3cr@t-longtail@127.0.0.1:1/nl",
        "postgres://nl:s3cr/et@127.0.0.1/nl",
        "postgres://nl:12/34@127.0.0.1/nl",
        "postgres://nl:s3cr%zzet@127.0.0.1/nl",
        "postgres://nl:s3cr%00et@127.0.0.1/nl",
        "postgres://nl:s3cret/nl",
        "postgres://nl@db/nl?s3cret",
        "postgres://nl@db/nl?password=s3cr=et",
        "postgres://nl@[::1/nl",
        "",
    ] {
        let why = DatabaseUrl::parse(url).unwrap_err();
        assert!(!why.contains("s3cr"), "{why}");
    }
    for url in [
        "postgres://nl:s3cr%40t@127.0.0.1:5432/nl",
        "postgres://nl@localhost/nl?host=/run/postgresql",
        "postgres:///nl?host=/run/postgresql",
        "postgres://%2Frun%2Fpostgresql/nl",
        "postgres://nl:s3cr?et#x@[::1]:5432,two:5433/nl?sslmode=require&target_session_attrs=any",
        "postgres://nl:s3cr:et@127.0.0.1/nl",
        "postgres://localhost",
        "sqlite:here@there.db",
    ] {
        assert!(DatabaseUrl::parse(url).is_ok(), "{url}");
    }
}

#[test]
fn a_cookie_key_is_long_and_random() {
    assert!(SecretKey::new(vec![b'k'; 64]).is_none());
    assert!(SecretKey::new(b"ab".repeat(32)).is_none());
    let key: Vec<u8> = (0..64).collect();
    assert!(SecretKey::new(key[..63].to_vec()).is_none());
    let key = SecretKey::new(key).unwrap();
    assert!(!format!("{key:?}").contains("1, 2"));
}

//! Keys that sign and seal cookies.

use actix_web::cookie::{Cookie, CookieJar, Key};

/// Keys that sign cookies: the newest signs, all verify.
pub struct CookieKeys(Vec<Key>);

impl CookieKeys {
    /// Creates the keys: at least one of 64 bytes or more, newest first.
    pub fn new<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let keys: Vec<Key> = keys.map(Key::from).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Returns the key that signs new cookies.
    pub fn newest(&self) -> &Key {
        &self.0[0]
    }

    /// Verifies a value. The signature covers only the value, not the name of the cookie.
    pub(super) fn verify(&self, value: &str) -> Option<SignedValue> {
        self.0.iter().enumerate().find_map(|(index, key)| {
            let cookie = Cookie::new("", value.to_owned());
            let token = CookieJar::new().signed(key).verify(cookie)?.value().to_owned();
            Some(SignedValue {
                token,
                is_newest_key: index == 0,
            })
        })
    }

    /// Returns an authentication code of a text, which only this installation can make.
    pub fn mac(&self, text: &str) -> String {
        let signed = self.sign("mac", text);
        signed.strip_suffix(text).unwrap_or_default().to_owned()
    }

    pub(super) fn sign(&self, name: &str, token: &str) -> String {
        let mut jar = CookieJar::new();
        jar.signed_mut(self.newest())
            .add(Cookie::new(name.to_owned(), token.to_owned()));
        jar.get(name)
            .map(|cookie| cookie.value().to_owned())
            .unwrap_or_default()
    }
}

/// The content of a cookie that one of our keys signed.
pub(super) struct SignedValue {
    pub token: String,
    /// Whether the newest key signed it.
    pub is_newest_key: bool,
}

//! A form with a file (`multipart/form-data`), read into memory under the limits of other forms.
//! The page interprets the file; nothing is written to disk.

use super::{
    error::PageError,
    request_body::{FORM_TIMEOUT, MAX_FORM_BYTES},
};
use actix_multipart::{Multipart, MultipartError};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use futures_util::StreamExt;
use std::{future::Future, pin::Pin};

/// Maximum number of parts of a form; no page has more.
const MAX_PARTS: usize = 16;

/// The parts of a form, in order.
pub struct Upload(Vec<UploadPart>);

struct UploadPart {
    name: String,
    /// The browser's name of the file; `None`: a field without a file.
    file_name: Option<String>,
    bytes: Vec<u8>,
}

/// A file that a user selected.
pub struct UploadedFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Upload {
    /// Returns the text of a field; empty if it is missing or not text.
    pub fn text(&self, name: &str) -> &str {
        let part = self.0.iter().find(|part| part.name == name && part.file_name.is_none());
        part.and_then(|part| std::str::from_utf8(&part.bytes).ok())
            .unwrap_or_default()
    }

    /// Returns the file of a field; `None`: none was selected, or it is empty.
    pub fn file(self, name: &str) -> Option<UploadedFile> {
        self.0.into_iter().find_map(|part| {
            let file = UploadedFile {
                name: part.file_name.filter(|_| part.name == name)?,
                bytes: part.bytes,
            };
            (!file.bytes.is_empty()).then_some(file)
        })
    }
}

impl FromRequest for Upload {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_form = req.content_type().eq_ignore_ascii_case("multipart/form-data");
        let parts = Multipart::new(req.headers(), payload.take());
        Box::pin(async move {
            if !is_form {
                return Err(PageError::UnsupportedMedia);
            }
            tokio::time::timeout(FORM_TIMEOUT, read(parts))
                .await
                .map_err(|_| PageError::Timeout)?
        })
    }
}

async fn read(mut multipart: Multipart) -> Result<Upload, PageError> {
    let (mut parts, mut left) = (Vec::new(), MAX_FORM_BYTES);
    while let Some(field) = multipart.next().await {
        let mut field = field.map_err(|error| unreadable(&error))?;
        if parts.len() == MAX_PARTS {
            return Err(PageError::TooLarge);
        }
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = field
            .content_disposition()
            .and_then(|disposition| disposition.get_filename())
            .map(str::to_owned);
        let bytes = field
            .bytes(left)
            .await
            .map_err(|_| PageError::TooLarge)?
            .map_err(|error| unreadable(&error))?;
        left -= bytes.len();
        parts.push(UploadPart {
            name,
            file_name,
            bytes: bytes.to_vec(),
        });
    }
    Ok(Upload(parts))
}

fn unreadable(error: &MultipartError) -> PageError {
    PageError::BadRequest(format!("The form cannot be read: {error}."))
}

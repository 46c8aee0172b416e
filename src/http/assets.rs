//! The files of `static/`, compiled in and served under URLs that carry their hash, so that browsers keep them for good.
//! Compression is the middleware's; nothing personal is ever in here.
use actix_web::http::header::{self, EntityTag, IfNoneMatch};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::collections::HashMap;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

struct Asset {
    url: String,
    hash: String,
    media_type: &'static str,
    file: EmbeddedFile,
}

static ASSETS: LazyLock<HashMap<String, Asset>> =
    LazyLock::new(|| Files::iter().filter_map(|name| load(&name)).collect());

fn load(name: &str) -> Option<(String, Asset)> {
    let file = Files::get(name)?;
    let (stem, extension) = name.rsplit_once('.')?;
    let hash: String = file
        .metadata
        .sha256_hash()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let url = format!("/static/{stem}.{hash}.{extension}");
    let media_type = match extension {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    Some((
        name.to_owned(),
        Asset {
            url,
            hash,
            media_type,
            file,
        },
    ))
}

/// `app.css` → `/static/app.<hash>.css`. A name that does not exist is a slip in a template; `/static/` then answers 404.
pub fn asset(name: &str) -> &'static str {
    ASSETS.get(name).map_or("/static/missing", |asset| asset.url.as_str())
}

/// `GET /static/{file}`: the hashed name for good, the plain name (or an older hash, from a page of the previous
/// release) with revalidation.
pub async fn serve(request: HttpRequest, file: web::Path<String>) -> HttpResponse {
    named(&request, &file)
}

/// A file by its name, for handlers that serve one under an address of their own (`/nightlatch/guard.js`).
pub fn named(request: &HttpRequest, file: &str) -> HttpResponse {
    let Some((asset, exact)) = find(file) else {
        return HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("Not found\n");
    };
    // Weak: the middleware may compress the same bytes.
    let etag = EntityTag::new_weak(asset.hash.clone());
    let fresh = request.headers().contains_key(header::IF_NONE_MATCH)
        && match request.get_header::<IfNoneMatch>() {
            Some(IfNoneMatch::Any) => true,
            Some(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&etag)),
            None => false,
        };
    let keep = if exact {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = if fresh {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((header::ETAG, etag.to_string()))
        .insert_header((header::CACHE_CONTROL, keep));
    if fresh {
        response.finish()
    } else {
        response.content_type(asset.media_type).body(asset.file.data.as_ref())
    }
}

fn find(file: &str) -> Option<(&'static Asset, bool)> {
    if let Some(asset) = ASSETS.get(file) {
        return Some((asset, false));
    }
    let (rest, extension) = file.rsplit_once('.')?;
    let (stem, hash) = rest.rsplit_once('.')?;
    let asset = ASSETS.get(&format!("{stem}.{extension}"))?;
    let looks_like_a_hash = hash.len() == asset.hash.len() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    looks_like_a_hash.then_some((asset, hash == asset.hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_under_its_hashed_url() {
        for (name, asset) in ASSETS.iter() {
            let file = asset.url.strip_prefix("/static/").expect("under /static/");
            let (found, exact) = find(file).expect("found");
            assert!(exact && found.hash == asset.hash, "{name}");
        }
    }

    #[test]
    fn an_older_hash_still_answers_but_is_not_kept() {
        let (_, exact) = find("app.0000000000000000.css").expect("found");
        assert!(!exact);
        assert!(find("app.x.css").is_none());
        assert!(find("../Cargo.toml").is_none());
    }
}

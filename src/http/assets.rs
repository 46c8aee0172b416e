//! The files of `static/`, compiled in and served under URLs with their hash, so that browsers can
//! cache them permanently. The middleware compresses them; they contain nothing personal.
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::{self, EntityTag, IfNoneMatch},
    web,
};
use rust_embed::RustEmbed;
use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

#[derive(RustEmbed)]
#[folder = "static/"]
struct StaticFiles;

struct Asset {
    url: String,
    hash: String,
    media_type: &'static str,
    body: Cow<'static, [u8]>,
}

static ASSETS: LazyLock<HashMap<String, Asset>> =
    LazyLock::new(|| StaticFiles::iter().filter_map(|name| load(&name)).collect());

fn load(name: &str) -> Option<(String, Asset)> {
    let file = StaticFiles::get(name)?;
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
    let body = match extension {
        "js" => remove_comment_lines(&file.data).into(),
        _ => file.data,
    };
    Some((
        name.to_owned(),
        Asset {
            url,
            hash,
            media_type,
            body,
        },
    ))
}

/// Leaves out the lines of a script that are only a comment, since every page loads the page guard.
fn remove_comment_lines(script: &[u8]) -> Vec<u8> {
    let lines = script.split_inclusive(|byte| *byte == b'\n');
    let kept = lines.filter(|line| !line.trim_ascii_start().starts_with(b"//"));
    kept.flatten().copied().collect()
}

/// Returns the URL of a file: `app.css` → `/static/app.<hash>.css`. An unknown name is an error in
/// a template; `/static/` then returns 404.
pub fn asset(name: &str) -> &'static str {
    ASSETS.get(name).map_or("/static/missing", |asset| asset.url.as_str())
}

/// Serves `GET /static/{file}`: the hashed name with permanent caching, the plain name (or an older
/// hash, from a page of the previous release) with revalidation.
pub async fn serve(request: HttpRequest, file: web::Path<String>) -> HttpResponse {
    serve_file(&request, &file)
}

/// Serves a file by its name, for handlers with a separate address (`/nightlatch/guard.js`).
pub fn serve_file(request: &HttpRequest, file: &str) -> HttpResponse {
    let Some((asset, exact)) = find(file) else {
        return HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("Not found\n");
    };
    // Weak, because the middleware may compress the same bytes.
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
        response.content_type(asset.media_type).body(asset.body.as_ref())
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
mod tests;

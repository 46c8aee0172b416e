//! The configuration of each proxy for one application: the shipped files with this installation's
//! names in them.
use crate::{config::Config, domain::application::Application};

/// The proxies, their files and the texts of the files.
const FILES: [(&str, &str, &str); 6] = [
    ("nginx", "nginx.conf", include_str!("../../../../../contrib/nginx.conf")),
    ("Caddy", "Caddyfile", include_str!("../../../../../contrib/Caddyfile")),
    (
        "HAProxy",
        "haproxy.cfg",
        include_str!("../../../../../contrib/haproxy.cfg"),
    ),
    (
        "HAProxy Lua",
        "nightlatch.lua",
        include_str!("../../../../../contrib/nightlatch.lua"),
    ),
    (
        "Traefik",
        "traefik.yaml",
        include_str!("../../../../../contrib/traefik.yaml"),
    ),
    ("Envoy", "envoy.yaml", include_str!("../../../../../contrib/envoy.yaml")),
];

/// Files that the nginx file includes, by the line that includes them.
const NGINX_INCLUDES: [(&str, &str); 2] = [
    (
        "include nightlatch/host.conf;",
        include_str!("../../../../../contrib/nginx/host.conf"),
    ),
    (
        "include nightlatch/protect.conf;",
        include_str!("../../../../../contrib/nginx/protect.conf"),
    ),
];

/// The line of the nginx file that says where the included files are.
const ABOUT_INCLUDES: &str = "# The folder nginx beside this file";

/// Replaces each `include` line by the text of that file without its heading, so that the result is
/// complete.
fn insert_includes(text: &str) -> String {
    let mut whole = String::new();
    for line in text.lines().filter(|line| !line.starts_with(ABOUT_INCLUDES)) {
        let included = NGINX_INCLUDES.iter().find(|(include, _)| line.trim() == *include);
        match included {
            Some((include, file)) => {
                let indent = line.strip_suffix(include).unwrap_or_default();
                for line in file.lines().skip_while(|line| line.starts_with('#')).skip(1) {
                    let indent = if line.is_empty() { "" } else { indent };
                    whole.extend([indent, line, "\n"]);
                }
            }
            None => whole.extend([line, "\n"]),
        }
    }
    whole
}

/// A placeholder for the application's host while its name is filled in.
const HOST_MARK: &str = "\u{1}";
/// A placeholder for the option that registers the application's address.
const ADDRESS_MARK: &str = "\u{2}";

/// The configuration of one proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySnippet {
    pub proxy: &'static str,
    pub file: &'static str,
    /// The anchor, such as `snippet-nginx`.
    pub id: String,
    pub text: String,
}

/// Returns the configuration of every proxy for this application.
pub fn snippets(config: &Config, application: &Application) -> Vec<ProxySnippet> {
    let address = application.hosts.first().map(ToString::to_string).unwrap_or_default();
    let names = SnippetValues {
        own_url: config.base_url(),
        own_host: config.own_host().into_owned(),
        bind: config.bind.first().map(ToString::to_string).unwrap_or_default(),
        cookie_name: config.cookie_name.clone(),
        cookie_domain: config.cookie_domain.clone(),
        host: host_of(&address).to_owned(),
        address,
        name: application.name.clone(),
    };
    let snippet = |(proxy, file, text): (&'static str, &'static str, &str)| ProxySnippet {
        proxy,
        file,
        id: format!("snippet-{}", proxy.to_lowercase().replace(' ', "-")),
        text: names.fill(&insert_includes(text)),
    };
    FILES.into_iter().map(snippet).collect()
}

/// The values that the shipped files leave to the installation.
struct SnippetValues {
    own_url: String,
    own_host: String,
    bind: String,
    cookie_name: String,
    cookie_domain: Option<String>,
    /// The application's host as it was registered, with its port if it has one.
    address: String,
    /// The same without a port, as proxies compare it.
    host: String,
    name: String,
}

/// Returns the host of `host[:port]`; an IPv6 address stays in brackets.
fn host_of(address: &str) -> &str {
    let port = address
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    port.map_or(address, |(host, _)| host)
}

impl SnippetValues {
    fn fill(&self, text: &str) -> String {
        let domain = match &self.cookie_domain {
            Some(domain) => format!("NIGHTLATCH_COOKIE_DOMAIN={domain}"),
            None => String::new(),
        };
        text.replace("https://login.example.org", self.own_url.trim_end_matches('/'))
            .replace("login.example.org", &self.own_host)
            .replace("NIGHTLATCH_COOKIE_DOMAIN=example.org", &domain)
            .replace(
                "nightlatch(?:-handover|-factor)?",
                &format!("{}(?:-handover|-factor)?", self.cookie_name),
            )
            .replace(
                "lua.nightlatch 127.0.0.1:8080 nightlatch",
                &format!("lua.nightlatch 127.0.0.1:8080 {}", self.cookie_name),
            )
            .replace("127.0.0.1:8080", &self.bind)
            .replace("port_value: 8080", &format!("port_value: {}", self.bind_port()))
            .replace("--host wiki.example.org", ADDRESS_MARK)
            .replace("wiki.example.org", HOST_MARK)
            .replace("wiki", &self.name)
            .replace(ADDRESS_MARK, &format!("--host {}", self.address))
            .replace(HOST_MARK, &self.host)
    }

    fn bind_port(&self) -> &str {
        self.bind.rsplit_once(':').map_or("8080", |(_, port)| port)
    }
}

#[cfg(test)]
mod tests;

//! Real nginx that passes requests on to several instances in turn, with one connection per request
//! and no memory of instances that failed.

use super::server::eventually;
use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command},
};

/// The host name under which people reach the instances.
pub const HOST: &str = "login.example.org";

/// A running nginx.
pub struct Balancer {
    nginx: Child,
    pub port: u16,
    _directory: tempfile::TempDir,
}

impl Balancer {
    /// Starts nginx in front of these addresses and waits until it listens.
    pub fn start(instances: &[SocketAddr]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().display();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let servers: String = instances
            .iter()
            .map(|address| format!("server {address} max_fails=0; "))
            .collect();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {own}/{what}; "))
            .concat();
        let file = format!(
            "pid {own}/pid; error_log {own}/errors; daemon off; master_process off; events {{}} http {{ access_log off; {paths} \
             upstream instances {{ {servers} }} server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://instances; \
             proxy_http_version 1.1; proxy_set_header Host {HOST}; }} }} }}"
        );
        std::fs::write(directory.path().join("nginx.conf"), file).unwrap();
        let installed = Path::new("/usr/sbin/nginx");
        let program = if installed.exists() {
            installed
        } else {
            Path::new("nginx")
        };
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(directory.path().join("nginx.conf"))
            .arg("-p")
            .arg(directory.path());
        let nginx = command.spawn().expect("nginx is installed: tests/run does that");
        eventually("nginx listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self {
            nginx,
            port,
            _directory: directory,
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Both fail when the process has already ended.
        self.nginx.kill().ok();
        self.nginx.wait().ok();
    }
}

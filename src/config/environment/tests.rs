//! Tests of [`super`].

use super::Variable;

#[test]
fn variables_injected_by_kubernetes_are_foreign() {
    for (name, value) in [
        ("NIGHTLATCH_SERVICE_HOST", "10.96.12.7"),
        ("NIGHTLATCH_SERVICE_PORT", "80"),
        ("NIGHTLATCH_SERVICE_PORT_HTTP", "80"),
        ("NIGHTLATCH_PORT", "tcp://10.96.12.7:80"),
        ("NIGHTLATCH_PORT_80_TCP", "tcp://10.96.12.7:80"),
        ("NIGHTLATCH_PORT_80_TCP_PROTO", "tcp"),
        ("NIGHTLATCH_PORT_80_TCP_PORT", "80"),
        ("NIGHTLATCH_PORT_80_TCP_ADDR", "10.96.12.7"),
        ("NIGHTLATCH_PORT_53_UDP", "udp://10.96.12.7:53"),
        ("NIGHTLATCH_CONSOLE_SERVICE_HOST", "10.96.12.8"),
        ("NIGHTLATCH_CONSOLE_PORT", "tcp://10.96.12.8:80"),
        ("NIGHTLATCH_CONSOLE_PORT_80_TCP_ADDR", "10.96.12.8"),
        ("PATH", "/bin"),
    ] {
        assert!(matches!(Variable::classify(name, value), Variable::Foreign), "{name}");
    }
}

#[test]
fn a_mistyped_variable_is_named_with_the_likely_one() {
    for (name, likely) in [
        ("NIGHTLATCH_PUBLIC_ULR", "NIGHTLATCH_PUBLIC_URL?"),
        ("NIGHTLATCH_PORT", ""),
        ("NIGHTLATCH_SECRET_KEY_FIEL", "NIGHTLATCH_SECRET_KEY_FILE?"),
        ("NIGHTLATCH_BIND_FILE", "set NIGHTLATCH_BIND"),
        ("DATABASE_URL_FIEL", "DATABASE_URL_FILE?"),
    ] {
        let Variable::Unknown(advice) = Variable::classify(name, "8080") else {
            panic!("{name}")
        };
        assert!(advice.contains(likely), "{name}: {advice}");
    }
}

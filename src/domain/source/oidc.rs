//! The settings of an OpenID Connect provider.

use super::{
    fields::{
        FieldForm::{Choice, Seconds, Switch, Text, Words},
        FieldGroup, SourceField,
    },
    reader::SettingReader,
};
use crate::{duration, time::Span};

/// How we prove to the provider who we are (OpenID Connect Core, 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic`: in the header.
    Basic,
    /// `client_secret_post`: in the body.
    Post,
}

impl ClientAuth {
    /// Returns `basic` or `post`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ClientAuth::Basic => "basic",
            ClientAuth::Post => "post",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "basic" => Some(ClientAuth::Basic),
            "post" => Some(ClientAuth::Post),
            _ => None,
        }
    }
}

/// Whether a second factor that the provider checked counts here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorTrust {
    /// It does, if `amr` or `acr` has one of the listed values.
    Trusted,
    /// It does not.
    Ignored,
}

impl FactorTrust {
    /// Returns `trusted` or `ignored`.
    pub const fn as_str(self) -> &'static str {
        match self {
            FactorTrust::Trusted => "trusted",
            FactorTrust::Ignored => "ignored",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "trusted" => Some(FactorTrust::Trusted),
            "ignored" => Some(FactorTrust::Ignored),
            _ => None,
        }
    }
}

/// The effect of a sign-out on the session at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderSignOut {
    /// Nothing: only the session here ends.
    Local,
    /// The page after sign-out has a button that also signs out at the provider.
    Offer,
    /// Sign-out leads to the provider (RP-Initiated Logout 1.0).
    Provider,
}

impl ProviderSignOut {
    /// Returns `local`, `offer` or `provider`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ProviderSignOut::Local => "local",
            ProviderSignOut::Offer => "offer",
            ProviderSignOut::Provider => "provider",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "local" => Some(ProviderSignOut::Local),
            "offer" => Some(ProviderSignOut::Offer),
            "provider" => Some(ProviderSignOut::Provider),
            _ => None,
        }
    }
}

/// How we may poll the security events of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventAccess {
    /// By an access token that the provider issued for this purpose.
    Token,
    /// By an access token that the token endpoint gives to our client (RFC 6749, 4.4).
    Client,
}

impl EventAccess {
    /// Returns `token` or `client`.
    pub const fn as_str(self) -> &'static str {
        match self {
            EventAccess::Token => "token",
            EventAccess::Client => "client",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "token" => Some(EventAccess::Token),
            "client" => Some(EventAccess::Client),
            _ => None,
        }
    }
}

/// The settings of a provider. Its secret is the client secret; without one it is a public client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// The issuer, byte for byte as the provider writes it.
    pub issuer: String,
    /// Our ID at the provider.
    pub client_id: String,
    /// How the client secret is sent.
    pub client_auth: ClientAuth,
    /// The scopes that are requested; `openid` is among them.
    pub scopes: Vec<String>,
    /// The claim with the username.
    pub name_claim: String,
    /// The claim with the person's name.
    pub display_name_claim: String,
    /// The claim with the email address.
    pub email_claim: String,
    /// The claim with the groups.
    pub groups_claim: String,
    /// The domains of email addresses that may sign in, in lower case; empty: all.
    pub email_domains: Vec<String>,
    /// Whether `/login` leads to the provider at once if it is the only way in.
    pub auto_redirect: bool,
    /// Whether the provider's second factor counts.
    pub factors: FactorTrust,
    /// The values of `amr` or `acr` that count as a second factor.
    pub factor_values: Vec<String>,
    /// The values of `acr` that are requested.
    pub acr_values: Vec<String>,
    /// The effect of a sign-out on the session at the provider.
    pub sign_out: ProviderSignOut,
    /// Where security events are polled (RFC 8936); `None`: they are not.
    pub events_url: Option<String>,
    /// How we may poll them.
    pub events_access: EventAccess,
    /// The scopes of [`EventAccess::Client`].
    pub events_scopes: Vec<String>,
    /// The audience of the events; `None`: the client ID.
    pub events_audience: Option<String>,
    /// How often they are polled.
    pub events_every: Span,
    /// A file with the certificates of the authorities that are trusted; `None`: the system's.
    pub ca_file: Option<String>,
    /// How long each request to the provider may take.
    pub timeout: Span,
}

impl OidcSettings {
    /// Reads the settings; faults are left in the reader.
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Self {
        let settings = Self {
            issuer: reader.required("issuer"),
            client_id: reader.required("client_id"),
            client_auth: reader.choice("client_auth", ClientAuth::parse, ClientAuth::Basic),
            scopes: reader.words("scopes"),
            name_claim: reader.required("name_claim"),
            display_name_claim: reader.required("display_name_claim"),
            email_claim: reader.required("email_claim"),
            groups_claim: reader.required("groups_claim"),
            email_domains: read_domains(reader),
            auto_redirect: reader.switch("auto_redirect"),
            factors: reader.choice("factors", FactorTrust::parse, FactorTrust::Ignored),
            factor_values: reader.words("factor_values"),
            acr_values: reader.words("acr_values"),
            sign_out: reader.choice("sign_out", ProviderSignOut::parse, ProviderSignOut::Offer),
            events_url: reader.optional("events_url"),
            events_access: reader.choice("events_access", EventAccess::parse, EventAccess::Token),
            events_scopes: reader.words("events_scopes"),
            events_audience: reader.optional("events_audience"),
            events_every: reader.seconds("events_every"),
            ca_file: reader.optional("ca_file"),
            timeout: reader.seconds("timeout"),
        };
        reader.check_web_address("issuer", &settings.issuer);
        reader.check_web_address("events_url", settings.events_url.as_deref().unwrap_or_default());
        if settings.issuer.contains('?') {
            reader.fault("issuer", "must not contain a query (?)");
        }
        if settings.scopes.iter().all(|scope| scope != "openid") {
            reader.fault("scopes", "must contain openid");
        }
        if settings.factors == FactorTrust::Trusted && settings.factor_values.is_empty() {
            reader.fault(
                "factor_values",
                "must name at least one value when the provider's factors are trusted",
            );
        }
        settings
    }

    /// Returns the identity of a person as accounts store it: subjects are unique only at their
    /// issuer.
    pub fn external_id(&self, subject: &str) -> String {
        format!("{} {subject}", self.issuer)
    }

    /// Returns the settings as texts.
    pub(super) fn texts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("issuer", self.issuer.clone()),
            ("client_id", self.client_id.clone()),
            ("client_auth", self.client_auth.as_str().to_owned()),
            ("scopes", self.scopes.join(" ")),
            ("name_claim", self.name_claim.clone()),
            ("display_name_claim", self.display_name_claim.clone()),
            ("email_claim", self.email_claim.clone()),
            ("groups_claim", self.groups_claim.clone()),
            ("email_domains", self.email_domains.join(" ")),
            ("auto_redirect", self.auto_redirect.to_string()),
            ("factors", self.factors.as_str().to_owned()),
            ("factor_values", self.factor_values.join(" ")),
            ("acr_values", self.acr_values.join(" ")),
            ("sign_out", self.sign_out.as_str().to_owned()),
            ("events_url", self.events_url.clone().unwrap_or_default()),
            ("events_access", self.events_access.as_str().to_owned()),
            ("events_scopes", self.events_scopes.join(" ")),
            ("events_audience", self.events_audience.clone().unwrap_or_default()),
            ("events_every", duration::humanize(self.events_every.as_secs())),
            ("ca_file", self.ca_file.clone().unwrap_or_default()),
            ("timeout", duration::humanize(self.timeout.as_secs())),
        ]
    }
}

fn read_domains(reader: &mut SettingReader<'_>) -> Vec<String> {
    let domains: Vec<String> = reader
        .words("email_domains")
        .iter()
        .map(|domain| domain.to_lowercase())
        .collect();
    for domain in &domains {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
        if !domain.chars().all(allowed) || domain.split('.').any(str::is_empty) {
            reader.fault(
                "email_domains",
                format!("{domain:?} is not a domain (write example.org, without @)"),
            );
        }
    }
    domains
}

impl OidcSettings {
    /// Every setting, in the order of the form.
    pub const FIELDS: &'static [SourceField] = &[
        SourceField::new(
            FieldGroup::Connection,
            "issuer",
            "Issuer",
            Text,
            "",
            "The address of the provider, exactly as in its own metadata, with or without a slash at its end.",
        ),
        SourceField::new(
            FieldGroup::Connection,
            "client_id",
            "Client ID",
            Text,
            "",
            "The provider gave it to you. The client secret is the secret.",
        ),
        SourceField::new(
            FieldGroup::Connection,
            "client_auth",
            "Client authentication",
            Choice(&["basic", "post"]),
            "basic",
            "How the client secret is sent: basic in a header, post in the body.",
        ),
        SourceField::new(
            FieldGroup::Connection,
            "scopes",
            "Scopes",
            Words,
            "openid profile email",
            "Separated by blanks; openid must be among them.",
        ),
        SourceField::new(
            FieldGroup::People,
            "name_claim",
            "Claim with the username",
            Text,
            "preferred_username",
            "The username of the account here.",
        ),
        SourceField::new(
            FieldGroup::People,
            "display_name_claim",
            "Claim with the name",
            Text,
            "name",
            "The name that people read.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::People,
            "email_claim",
            "Claim with the email address",
            Text,
            "email",
            "It is used only if the provider says that it verified the address.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::People,
            "groups_claim",
            "Claim with the groups",
            Text,
            "groups",
            "A list of texts, or one text.",
        ),
        SourceField::new(
            FieldGroup::Access,
            "email_domains",
            "Email domains",
            Words,
            "",
            "Only people with a verified address in one of these domains can sign in. Empty: everyone.",
        ),
        SourceField::new(
            FieldGroup::SignIn,
            "auto_redirect",
            "Skip the sign-in page",
            Switch,
            "false",
            "Leads to the provider at once if it is the only enabled source. /login?local=1 still shows the page.",
        ),
        SourceField::new(
            FieldGroup::SignIn,
            "factors",
            "Second factors of the provider",
            Choice(&["ignored", "trusted"]),
            "ignored",
            "trusted: a sign-in with one of the values below counts as proved with a second factor.",
        ),
        SourceField::new(
            FieldGroup::SignIn,
            "factor_values",
            "Values that count as a second factor",
            Words,
            "mfa otp hwk swk",
            "Values of amr or acr, separated by blanks.",
        ),
        SourceField::new(
            FieldGroup::SignIn,
            "acr_values",
            "Requested acr values",
            Words,
            "",
            "Sent with every sign-in, in this order. Empty: none.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::SignIn,
            "sign_out",
            "Sign-out",
            Choice(&["local", "offer", "provider"]),
            "offer",
            "local ends the session here; offer also shows a button to sign out at the provider; provider leads there.",
        ),
        SourceField::new(
            FieldGroup::Events,
            "events_url",
            "Address of security events",
            Text,
            "",
            "The poll endpoint of the provider's event stream (Shared Signals, RFC 8936). Empty: none are received.",
        ),
        SourceField::new(
            FieldGroup::Events,
            "events_access",
            "Access to security events",
            Choice(&["token", "client"]),
            "token",
            "token sends the access token for security events; client gets one with client ID and client secret.",
        ),
        SourceField::new(
            FieldGroup::Events,
            "events_scopes",
            "Scopes for security events",
            Words,
            "",
            "Requested with events_access = client, separated by blanks. Empty: none.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::Events,
            "events_audience",
            "Audience of security events",
            Text,
            "",
            "What the events name as their audience (aud). Empty: the client ID.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::Events,
            "events_every",
            "Poll security events every",
            Seconds(10, 86_400),
            "1m",
            "How often the provider is asked for new security events.",
        )
        .rare(),
        SourceField::certificate_authorities().rare(),
        SourceField::new(
            FieldGroup::Connection,
            "timeout",
            "Time to answer",
            Seconds(1, 60),
            "5s",
            "Longest time for one request to the provider.",
        )
        .rare(),
    ];
}

//! Who may call what: permissions are read from the protos, tokens are JWTs signed with Ed25519.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use prost_reflect::{
    DescriptorPool, MethodDescriptor, prost_types::method_options::IdempotencyLevel,
};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{ERROR_DOMAIN, ServerConfig, call::Permissions};

/// Permissions that no caller has without a token, even where the doors are open.
pub const RESTRICTED: [&str; 1] = ["orders.import"];

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Who calls; written into the events that the call causes.
    pub sub: String,
    /// Unix seconds.
    pub exp: i64,
    /// Names such as `orders.write`; `*` stands for all.
    pub permissions: Vec<String>,
}

/// The access rule of one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    Public,
    Needs(String),
    /// A method of ours whose proto says nothing.
    Nobody,
}

pub(crate) struct Access {
    /// By path, such as `/bramble.orders.v1.OrdersService/GetOrder`.
    rules: HashMap<String, Rule>,
    /// Paths of the methods that change something.
    writes: HashSet<String>,
    /// By service, for those whose protos are not ours.
    foreign: HashMap<&'static str, Rule>,
    key: Option<DecodingKey>,
    open: bool,
}

/// Who a caller is.
pub(crate) struct Identity {
    pub(crate) actor: Arc<str>,
    pub(crate) permissions: Permissions,
    /// When the token ends, in Unix seconds; none without a token.
    pub(crate) until: Option<i64>,
}

impl Access {
    /// `foreign` are the services whose protos are not ours, each with the permission that its methods need.
    pub(crate) fn new(
        config: &ServerConfig,
        foreign: &[(&'static str, &'static str)],
    ) -> anyhow::Result<Self> {
        let key = config.auth_public_key.as_deref().map(read_key).transpose()?;
        let open = config.open || key.is_none();
        let foreign = foreign.iter().map(|(name, needs)| (*name, Rule::Needs((*needs).to_owned())));
        let pool = DescriptorPool::decode(proto::DESCRIPTORS)?;
        let (rules, writes) = (rules(&pool)?, writes(&pool));
        Ok(Self { rules, writes, foreign: foreign.collect(), key, open })
    }

    /// Whether those without a token are served.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// None for methods that are not ours: health, reflection, and those that do not exist.
    pub(crate) fn rule(&self, path: &str) -> Option<&Rule> {
        let service = || path.strip_prefix('/')?.split_once('/').map(|(service, _)| service);
        self.rules.get(path).or_else(|| self.foreign.get(service()?))
    }

    /// Whether a method of ours changes something, as its proto tells.
    pub(crate) fn writes(&self, path: &str) -> bool {
        self.writes.contains(path)
    }

    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Identity, Status> {
        self.identify_bearer(token(headers).as_deref())
    }

    pub(crate) fn identify_bearer(&self, token: Option<&str>) -> Result<Identity, Status> {
        match (token, &self.key) {
            (Some(token), Some(key)) => read_token(token, key),
            (None, Some(_)) if !self.open => {
                Err(unauthenticated("TOKEN_MISSING", "a bearer token is needed"))
            }
            // Without a key nothing can be checked, so a token adds nothing.
            _ => Ok(Identity {
                actor: "anonymous".into(),
                permissions: Permissions::AllButRestricted,
                until: None,
            }),
        }
    }
}

/// The bearer token of a call. Programs that know only a name and a password send the token as the password, and any name.
#[must_use]
pub fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    if let Some(token) = value.strip_prefix("Bearer ") {
        return Some(token.to_owned());
    }
    // Some programs leave the padding out.
    let pair = value.strip_prefix("Basic ")?.trim_end_matches('=');
    let pair = BASE64_STANDARD_NO_PAD.decode(pair).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

fn read_key(path: &Path) -> anyhow::Result<DecodingKey> {
    let pem = std::fs::read(path)
        .with_context(|| format!("BRAMBLE_AUTH_PUBLIC_KEY: cannot read {}", path.display()))?;
    DecodingKey::from_ed_pem(&pem).context("BRAMBLE_AUTH_PUBLIC_KEY is not an Ed25519 public key")
}

fn read_token(token: &str, key: &DecodingKey) -> Result<Identity, Status> {
    let claims = jsonwebtoken::decode::<Claims>(token, key, &Validation::new(Algorithm::EdDSA))
        .map_err(|error| {
            unauthenticated("TOKEN_INVALID", &format!("the token is refused: {error}"))
        })?
        .claims;
    let permissions = if claims.permissions.iter().any(|name| name == "*") {
        Permissions::All
    } else {
        Permissions::Only(Arc::new(claims.permissions.into_iter().collect()))
    };
    Ok(Identity { actor: claims.sub.into(), permissions, until: Some(claims.exp) })
}

fn unauthenticated(reason: &str, message: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(Code::Unauthenticated, message, details)
}

/// The rules of all methods by path, such as `/bramble.orders.v1.OrdersService/GetOrder`.
fn rules(pool: &DescriptorPool) -> anyhow::Result<HashMap<String, Rule>> {
    let option = pool
        .get_extension_by_name("bramble.auth.v1.access")
        .context("the access option is not among the descriptors")?;
    let mut rules = HashMap::new();
    for service in pool.services() {
        for method in service.methods() {
            let value = method.options().get_extension(&option).into_owned();
            let access = value.as_message();
            let text = access
                .and_then(|access| access.get_field_by_name("permission"))
                .and_then(|permission| permission.as_str().map(str::to_owned))
                .filter(|permission| !permission.is_empty());
            let public = access
                .and_then(|access| access.get_field_by_name("public"))
                .and_then(|public| public.as_bool())
                .unwrap_or(false);
            let rule = match text {
                Some(permission) => Rule::Needs(permission),
                None if public => Rule::Public,
                None => Rule::Nobody,
            };
            rules.insert(path_of(&method), rule);
        }
    }
    Ok(rules)
}

fn writes(pool: &DescriptorPool) -> HashSet<String> {
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let writes = methods.filter(|method| {
        let options = method.method_descriptor_proto().options.as_ref();
        options.is_none_or(|options| options.idempotency_level() != IdempotencyLevel::NoSideEffects)
    });
    writes.map(|method| path_of(&method)).collect()
}

/// As it is called.
fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_only_read_say_so() {
        let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
        let writes = writes(&pool);
        let reads = ["Get", "BatchGet", "List", "Query", "Verify", "Watch", "Read", "Top"];
        let method = |path: &String| path.rsplit('/').next().unwrap().to_owned();
        let silent: Vec<_> = writes
            .iter()
            .filter(|path| reads.iter().any(|read| method(path).starts_with(read)))
            .collect();
        assert!(silent.is_empty(), "{silent:?}");
        assert!(writes.contains("/bramble.orders.v1.OrdersService/PlaceOrder"));
    }

    #[test]
    fn every_method_says_who_may_call_it() {
        let rules = rules(&DescriptorPool::decode(proto::DESCRIPTORS).unwrap()).unwrap();
        let silent: Vec<_> = rules.iter().filter(|(_, rule)| **rule == Rule::Nobody).collect();
        assert!(silent.is_empty(), "{silent:?}");
        let place = &rules["/bramble.orders.v1.OrdersService/PlaceOrder"];
        assert_eq!(*place, Rule::Needs("orders.write".to_owned()));
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_a_password() {
        let token_of = |value: &str| {
            token(&HeaderMap::from_iter([(http::header::AUTHORIZATION, value.parse().unwrap())]))
        };
        // ann:a.b:c, with its padding and without.
        for good in ["Bearer a.b:c", "Basic YW5uOmEuYjpj", "Basic OmEuYjpj", "Basic eDphLmI6Yw=="] {
            assert_eq!(token_of(good).as_deref(), Some("a.b:c"), "{good}");
        }
        assert_eq!(token_of("Basic eDphLmI6Yw").as_deref(), Some("a.b:c"));
        for bad in ["", "a.b:c", "Basic", "Basic %", "Basic YW5u", "Basic //86", "Digest a.b:c"] {
            assert_eq!(token_of(bad), None, "{bad}");
        }
        assert_eq!(token(&HeaderMap::new()), None);
    }
}

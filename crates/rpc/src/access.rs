//! Who may call what: permissions are read from the protos, tokens are JWTs signed with Ed25519.

use std::{collections::HashMap, path::Path, sync::Arc};

use anyhow::Context;
use http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use prost_reflect::DescriptorPool;
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
    rules: HashMap<String, Rule>,
    key: Option<DecodingKey>,
    open: bool,
}

/// Who a caller is.
pub(crate) struct Identity {
    pub(crate) actor: Arc<str>,
    pub(crate) permissions: Permissions,
}

impl Access {
    pub(crate) fn new(config: &ServerConfig) -> anyhow::Result<Self> {
        let key = config.auth_public_key.as_deref().map(read_key).transpose()?;
        let open = config.open || key.is_none();
        if open {
            tracing::warn!("the doors are open: calls without a token are served");
        }
        Ok(Self { rules: rules()?, key, open })
    }

    /// None for methods that are not ours: health, reflection, and those that do not exist.
    pub(crate) fn rule(&self, path: &str) -> Option<&Rule> {
        self.rules.get(path)
    }

    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Identity, Status> {
        let token = headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        match (token, &self.key) {
            (Some(token), Some(key)) => read_token(token, key),
            (None, Some(_)) if !self.open => {
                Err(unauthenticated("TOKEN_MISSING", "a bearer token is needed"))
            }
            // Without a key nothing can be checked, so a token adds nothing.
            _ => Ok(Identity {
                actor: "anonymous".into(),
                permissions: Permissions::AllButRestricted,
            }),
        }
    }
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
    Ok(Identity { actor: claims.sub.into(), permissions })
}

fn unauthenticated(reason: &str, message: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(Code::Unauthenticated, message, details)
}

/// The rules of all methods by path, such as `/bramble.orders.v1.OrdersService/GetOrder`.
fn rules() -> anyhow::Result<HashMap<String, Rule>> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS)?;
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
            rules.insert(format!("/{}/{}", service.full_name(), method.name()), rule);
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_says_who_may_call_it() {
        let rules = rules().unwrap();
        let silent: Vec<_> = rules.iter().filter(|(_, rule)| **rule == Rule::Nobody).collect();
        assert!(silent.is_empty(), "{silent:?}");
        let place = &rules["/bramble.orders.v1.OrdersService/PlaceOrder"];
        assert_eq!(*place, Rule::Needs("orders.write".to_owned()));
    }
}

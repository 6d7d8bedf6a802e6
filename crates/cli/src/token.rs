use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rpc::Claims;

use crate::duration;

const TTL_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// Make a token that lets its bearer call the services.
#[derive(Debug, clap::Args)]
pub(crate) struct Token {
    /// The private.pem of `bramble keys`.
    #[arg(long)]
    key: PathBuf,
    /// Who the bearer is; written into the events that the calls cause.
    #[arg(long)]
    subject: String,
    /// What the bearer may do, such as orders.write; may be given several times.
    #[arg(long = "permission", value_name = "PERMISSION", required_unless_present = "all")]
    permissions: Vec<String>,
    /// Everything.
    #[arg(long, conflicts_with = "permissions")]
    all: bool,
    /// How long the token is good for.
    #[arg(long, default_value = "30d", value_parser = duration::parse)]
    ttl: Duration,
}

pub(crate) fn run(token: &Token) -> anyhow::Result<()> {
    println!("{}", sign(token)?);
    Ok(())
}

fn sign(token: &Token) -> anyhow::Result<String> {
    ensure!(!token.subject.trim().is_empty(), "--subject is blank");
    ensure!(token.ttl <= TTL_MAX, "--ttl is more than ten years");
    for name in &token.permissions {
        let plain = name.split_once('.').is_some_and(|(of, what)| {
            [of, what]
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
        });
        ensure!(plain, "{name:?} is not a permission such as orders.write");
    }
    let pem = std::fs::read(&token.key)
        .with_context(|| format!("cannot read {}", token.key.display()))?;
    let key = EncodingKey::from_ed_pem(&pem)
        .with_context(|| format!("{} is not an Ed25519 private key", token.key.display()))?;
    let end = SystemTime::now().duration_since(UNIX_EPOCH)?.saturating_add(token.ttl);
    let claims = Claims {
        sub: token.subject.clone(),
        exp: i64::try_from(end.as_secs())?,
        permissions: if token.all { vec!["*".to_owned()] } else { token.permissions.clone() },
    };
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;
    use crate::keys;

    #[derive(Parser)]
    struct KeysLine {
        #[command(flatten)]
        keys: keys::Keys,
    }

    #[derive(Parser)]
    struct TokenLine {
        #[command(flatten)]
        token: Token,
    }

    fn signed(dir: &str, more: &[&str]) -> anyhow::Result<String> {
        let key = format!("{dir}/private.pem");
        let line =
            ["token", "--key", &key, "--subject", "ann"].into_iter().chain(more.iter().copied());
        sign(&TokenLine::try_parse_from(line)?.token)
    }

    #[test]
    fn a_token_is_accepted_as_the_services_check_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("keys");
        let dir = dir.to_str().unwrap();
        let make = || keys::run(&KeysLine::try_parse_from(["keys", "--dir", dir]).unwrap().keys);
        make().unwrap();

        // As in crates/rpc/src/access.rs.
        let public = std::fs::read(format!("{dir}/public.pem")).unwrap();
        let public = DecodingKey::from_ed_pem(&public).unwrap();
        let read = |token: &str| {
            let validation = Validation::new(Algorithm::EdDSA);
            jsonwebtoken::decode::<Claims>(token, &public, &validation).map(|data| data.claims)
        };
        let now = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            i64::try_from(since.as_secs()).unwrap()
        };
        let began = now();
        let few = ["--permission", "orders.write", "--permission", "orders.import", "--ttl", "1h"];
        let claims = read(&signed(dir, &few).unwrap()).unwrap();
        assert_eq!(claims.sub, "ann");
        assert_eq!(claims.permissions, ["orders.write", "orders.import"]);
        let all = read(&signed(dir, &["--all"]).unwrap()).unwrap();
        assert_eq!(all.permissions, ["*"]);
        let ended = now();
        assert!((began + 3600..=ended + 3600).contains(&claims.exp));
        assert!((began + 30 * 86_400..=ended + 30 * 86_400).contains(&all.exp));
        let mut forged = signed(dir, &["--all"]).unwrap();
        forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
        assert!(read(&forged).is_err());

        assert!(signed(dir, &[]).is_err(), "a token without permissions");
        assert!(signed(dir, &["--permission", "orders"]).is_err());
        assert!(signed(dir, &["--all", "--ttl", "9999d"]).is_err());

        let private = std::fs::read(format!("{dir}/private.pem")).unwrap();
        let mode = std::fs::metadata(format!("{dir}/private.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(make().unwrap_err().to_string().contains("never overwritten"));
        assert_eq!(std::fs::read(format!("{dir}/private.pem")).unwrap(), private);
    }
}

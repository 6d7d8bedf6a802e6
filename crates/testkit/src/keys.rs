use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rpc::Claims;
use tempfile::TempDir;

/// A pair of keys, and what is signed with it.
pub struct Keys {
    private: EncodingKey,
    dir: TempDir,
}

impl Keys {
    /// The pair of a seed: another seed, another pair.
    #[must_use]
    pub fn new(seed: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::from_bytes(&[seed; 32]);
        let private = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let public = key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        std::fs::write(dir.path().join("public.pem"), public).unwrap();
        Self { private: EncodingKey::from_ed_pem(private.as_bytes()).unwrap(), dir }
    }

    /// The file of the public key.
    #[must_use]
    pub fn public(&self) -> PathBuf {
        self.dir.path().join("public.pem")
    }

    /// Ann's, for so many seconds from now.
    #[must_use]
    pub fn token(&self, permissions: &[&str], seconds: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = Claims {
            sub: "ann".to_owned(),
            exp: i64::try_from(now).unwrap() + seconds,
            permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.private).unwrap()
    }
}

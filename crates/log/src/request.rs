//! Requests that were answered already: the same one again has no second effect.

use std::collections::{HashMap, HashSet};

use prost::Message;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

/// What makes a request the same as an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    pub id: Uuid,
    method: &'static str,
    hash: Vec<u8>,
}

impl RequestKey {
    /// Of a mutation's message. The `request_id` is part of it and equal whenever the ids are.
    #[must_use]
    pub fn new(id: Uuid, method: &'static str, message: &impl Message) -> Self {
        Self { id, method, hash: Sha256::digest(message.encode_to_vec()).to_vec() }
    }
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is new, and ours now: an equal one waits until this transaction ends.
    New,
    /// It was answered with this resource.
    Answered(String),
    /// The id was used for another request.
    Other,
}

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("request_id {0} was used for another request")]
    Used(Uuid),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Notes in the command's transaction that a request is answered with a resource. Gives the earlier resource if it was answered before.
pub async fn answered(
    tx: &mut PgConnection,
    schema: &'static str,
    key: Option<&RequestKey>,
    resource_id: impl std::fmt::Display,
) -> Result<Option<String>, RequestError> {
    let Some(key) = key else { return Ok(None) };
    let mut claims = claim_all(tx, schema, &[(key, resource_id.to_string())]).await?;
    match claims.pop() {
        Some(Claim::New) => Ok(None),
        Some(Claim::Answered(resource_id)) => Ok(Some(resource_id)),
        Some(Claim::Other) => Err(RequestError::Used(key.id)),
        None => Err(sqlx::Error::RowNotFound.into()),
    }
}

/// The same for many, each with the resource that answers it. Of equal ids within the batch the first is new. Two statements however
/// many.
pub async fn claim_all(
    tx: &mut PgConnection,
    schema: &'static str,
    requests: &[(&RequestKey, String)],
) -> sqlx::Result<Vec<Claim>> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = requests.iter().map(|(key, _)| key.id).collect();
    let methods: Vec<&str> = requests.iter().map(|(key, _)| key.method).collect();
    let hashes: Vec<&[u8]> = requests.iter().map(|(key, _)| key.hash.as_slice()).collect();
    let resources: Vec<&str> = requests.iter().map(|(_, id)| id.as_str()).collect();
    // In the order of the ids, so that two batches never wait for each other. One that is there is locked, though nothing is changed: it
    // can't be taken back before it is read.
    let insert = format!(
        "insert into {schema}.requests as r (request_id, method, payload_hash, resource_id)
         select distinct on (id) id, method, hash, resource
         from unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[]) with ordinality as c (id, method, hash, resource, place)
         order by id, place
         on conflict (request_id) do update set method = r.method where false
         returning request_id"
    );
    let inserted: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(insert))
        .bind(&ids)
        .bind(&methods)
        .bind(&hashes)
        .bind(&resources)
        .fetch_all(&mut *tx)
        .await?;
    if inserted.len() == requests.len() {
        return Ok(vec![Claim::New; requests.len()]);
    }
    let select = format!(
        "select request_id, method, payload_hash, resource_id from {schema}.requests where request_id = any($1)"
    );
    let rows = sqlx::query(AssertSqlSafe(select)).bind(&ids).fetch_all(tx).await?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        known.insert(row.try_get::<Uuid, _>("request_id")?, row);
    }
    let mut new: HashSet<Uuid> = inserted.into_iter().collect();
    requests.iter().map(|(key, _)| verdict(key, &mut new, &known)).collect()
}

fn verdict(
    key: &RequestKey,
    new: &mut HashSet<Uuid>,
    known: &HashMap<Uuid, &PgRow>,
) -> sqlx::Result<Claim> {
    if new.remove(&key.id) {
        return Ok(Claim::New);
    }
    let row = known.get(&key.id).ok_or(sqlx::Error::RowNotFound)?;
    let same = row.try_get::<&str, _>("method")? == key.method
        && row.try_get::<&[u8], _>("payload_hash")? == key.hash;
    Ok(if same { Claim::Answered(row.try_get("resource_id")?) } else { Claim::Other })
}

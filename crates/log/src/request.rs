//! Requests that were answered already: the same one again has no second effect.

use prost::Message;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

/// What makes a request the same as an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    pub id: Uuid,
    hash: Vec<u8>,
}

impl RequestKey {
    /// Of a mutation's message. The `request_id` is part of it and equal whenever the ids are.
    #[must_use]
    pub fn new(id: Uuid, message: &impl Message) -> Self {
        Self { id, hash: Sha256::digest(message.encode_to_vec()).to_vec() }
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

/// One request of a batch, with the resource that answers it if it is new.
#[derive(Debug)]
pub struct Claimed<'a> {
    pub key: &'a RequestKey,
    pub method: &'a str,
    pub resource_id: String,
}

/// Notes in the command's transaction that a request is answered with a resource, unless it was noted before.
pub async fn claim(
    tx: &mut PgConnection,
    schema: &'static str,
    request: Claimed<'_>,
) -> sqlx::Result<Claim> {
    let mut claims = claim_all(tx, schema, &[request]).await?;
    claims.pop().ok_or(sqlx::Error::RowNotFound)
}

/// The same for many, in their order; ids must differ within the batch. Two statements however many.
pub async fn claim_all(
    tx: &mut PgConnection,
    schema: &'static str,
    requests: &[Claimed<'_>],
) -> sqlx::Result<Vec<Claim>> {
    let ids: Vec<Uuid> = requests.iter().map(|request| request.key.id).collect();
    let methods: Vec<&str> = requests.iter().map(|request| request.method).collect();
    let hashes: Vec<&[u8]> = requests.iter().map(|request| request.key.hash.as_slice()).collect();
    let resources: Vec<&str> = requests.iter().map(|request| request.resource_id.as_str()).collect();
    // In the order of the ids, so that two batches never wait for each other.
    let insert = format!(
        "insert into {schema}.requests (request_id, method, payload_hash, resource_id)
         select * from unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[]) order by 1
         on conflict (request_id) do nothing
         returning request_id"
    );
    let new: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(insert))
        .bind(&ids)
        .bind(methods)
        .bind(hashes)
        .bind(resources)
        .fetch_all(&mut *tx)
        .await?;
    if new.len() == requests.len() {
        return Ok(vec![Claim::New; requests.len()]);
    }
    let select = format!(
        "select request_id, method, payload_hash, resource_id from {schema}.requests where request_id = any($1)"
    );
    let known = sqlx::query(AssertSqlSafe(select)).bind(&ids).fetch_all(&mut *tx).await?;
    requests
        .iter()
        .map(|request| {
            if new.contains(&request.key.id) {
                return Ok(Claim::New);
            }
            for row in &known {
                if row.try_get::<Uuid, _>("request_id")? == request.key.id {
                    let same = row.try_get::<String, _>("method")? == request.method
                        && row.try_get::<Vec<u8>, _>("payload_hash")? == request.key.hash;
                    return Ok(if same {
                        Claim::Answered(row.try_get("resource_id")?)
                    } else {
                        Claim::Other
                    });
                }
            }
            Err(sqlx::Error::RowNotFound)
        })
        .collect()
}

//! The dashboard: a page for people, and the figures on it as JSON, once or again whenever they have changed.
//!
//! | path | answers |
//! |---|---|
//! | `/`, `/login`, `/assets/…` | the page itself: [`assets`] |
//! | `/api/sales`, `/api/receivables`, `/api/stock`, `/api/orders`, `/api/fleet` | one panel: [`panels`] |
//! | `/api/live` | all panels by server-sent events: [`live`] |
//!
//! With `?day=2026-11-24` sales, receivables and orders are as of that business day, else as of today.
//!
//! **Invariant:** nothing of the business leaves without [`doors`]: where they are closed, a token with `analytics.read` is needed, as for the
//! same figures over gRPC.
//!
//! **Invariant:** nobody's name or address is shown, and what is shown is never markup: data go to the page as JSON, and the page's policy
//! lets no script run but its own.

mod doors;
mod assets;
mod live;
mod panels;
mod sales;
mod neighbours;
mod shared;

use std::{future::ready, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use chrono::{DateTime, NaiveDate, Utc};
use rpc::{Doorkeeper, ServerConfig, Shutdown};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Semaphore};
use tonic::service::Routes;

use crate::{Config, queries::Materializations};
use assets::Assets;
use panels::{Board, Panel, Refused};

/// What is posted is a token.
const BODY_MAX_BYTES: usize = 16 << 10;
/// Pages that are kept up to date at once.
const LIVE_MAX: usize = 64;

pub(crate) struct Dashboard {
    keeper: Doorkeeper,
    assets: Assets,
    board: Arc<Board>,
    live: Arc<Semaphore>,
    /// Whether pages are asked for by `https`.
    tls: bool,
}

impl Dashboard {
    pub(crate) fn new(config: &Config, of: Materializations) -> anyhow::Result<Arc<Self>> {
        let keeper = Doorkeeper::new(&config.server)?;
        Ok(Arc::new(Self {
            assets: Assets::new(rpc::currency(), config.time_zone, keeper.is_open())?,
            keeper,
            board: Arc::new(Board::new(config, of)?),
            live: Arc::new(Semaphore::new(LIVE_MAX)),
            tls: config.server.tls_cert.is_some(),
        }))
    }

    pub(crate) async fn serve(
        self: Arc<Self>,
        config: ServerConfig,
        listener: TcpListener,
        shutdown: Shutdown,
    ) {
        let pages = Routes::from(self.router(&shutdown));
        if let Err(error) = rpc::serve_web(&config, listener, pages, shutdown).await {
            tracing::error!(%error, "the dashboard is not served any more");
        }
    }

    fn router(self: Arc<Self>, shutdown: &Shutdown) -> Router {
        let live = {
            let shutdown = shutdown.clone();
            move |state, headers: HeaderMap, day| {
                ready(follow(state, &headers, day, shutdown.clone()))
            }
        };
        Router::new()
            .route("/", get(index))
            .route("/login", get(doors::login_page).post(doors::login))
            .route("/logout", post(doors::logout))
            .route("/assets/{name}", get(asset))
            .route("/api/live", get(live))
            .route("/api/{panel}", get(panel))
            .fallback(async || (StatusCode::NOT_FOUND, "There is no such page.\n"))
            .layer(middleware::from_fn_with_state(Arc::clone(&self), doors::guard))
            .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
            .with_state(self)
    }
}

type Door = State<Arc<Dashboard>>;

#[derive(Debug, Deserialize)]
struct AsOf {
    day: Option<String>,
}

impl AsOf {
    /// None: today, whenever that is.
    fn day(&self) -> Result<Option<NaiveDate>, Refused> {
        let mut fields = rpc::Fields::default();
        let day = fields.optional_date("day", self.day.as_deref().unwrap_or_default());
        fields.done().map_err(|refused| {
            Refused::new(StatusCode::BAD_REQUEST, "DAY_INVALID", refused.message())
        })?;
        Ok(day)
    }
}

async fn index(State(dashboard): Door, headers: HeaderMap) -> Response {
    match dashboard.visitor(&headers) {
        Ok(_) => dashboard.assets.index.answer(&headers, None),
        Err(_) => Redirect::to("/login").into_response(),
    }
}

/// No secret of anybody's.
async fn asset(
    State(dashboard): Door,
    headers: HeaderMap,
    path: Path<String>,
    wanted: Query<assets::Wanted>,
) -> Response {
    match dashboard.assets.find(&path) {
        Some(asset) => asset.answer(&headers, Some(&wanted)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn panel(
    State(dashboard): Door,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(as_of): Query<AsOf>,
) -> Result<Response, Refused> {
    dashboard.visitor(&headers)?;
    let Some(panel) = Panel::ALL.into_iter().find(|panel| panel.name() == name) else {
        return Err(Refused::new(StatusCode::NOT_FOUND, "PANEL_UNKNOWN", "there is no such panel"));
    };
    let key = dashboard.board.key(as_of.day()?).await;
    let json = dashboard.board.show(panel, key).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], String::from(&*json)).into_response())
}

fn follow(
    State(dashboard): Door,
    headers: &HeaderMap,
    Query(as_of): Query<AsOf>,
    shutdown: Shutdown,
) -> Result<Response, Refused> {
    let visitor = dashboard.visitor(headers)?;
    let day = as_of.day()?;
    let Ok(seat) = Arc::clone(&dashboard.live).try_acquire_owned() else {
        let why = "too many pages are open";
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_PAGES", why));
    };
    let events = live::events(Arc::clone(&dashboard.board), day, visitor.until, seat, shutdown);
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], events).into_response())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a page is about now on the wall clock; nothing is dated by it"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

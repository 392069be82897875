//! A small client for the catalog's queries: one at a time, text in, text out.

use std::time::Duration;

use bytes::BytesMut;
use chaperone_wire::postgres::Limits;
use chaperone_wire::postgres::backend::{DataRow, Tag};
use chaperone_wire::postgres::frontend::encode;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::messages::{Messages, refusal};
use super::{Upstream, UpstreamError};

/// Bytes of one answer.
const LARGEST: usize = 256 << 20;

/// A connection used for the simple protocol.
#[derive(Debug)]
pub struct Control {
    upstream: Upstream,
    limit: Duration,
    /// Set while a query runs: if it is given up, what comes next belongs to it and not to the next one.
    busy: bool,
}

impl Control {
    /// Takes a connection over; each query may take `limit`.
    pub fn new(upstream: Upstream, limit: Duration) -> Self {
        Control { upstream, limit, busy: false }
    }

    /// Runs SQL by the simple protocol and gives its rows; those of several statements one after the other.
    ///
    /// # Errors
    /// The server's error ([`UpstreamError::Server`]), after which the connection goes on; any other ends it, too much
    /// time or more than 256 MiB among them.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, UpstreamError> {
        if self.busy {
            return Err(UpstreamError::Unusable);
        }
        let mut request = BytesMut::new();
        encode::query(&mut request, sql.as_bytes())?;
        self.busy = true;
        let exchange = Self::exchange(&mut self.upstream, &request);
        let result = timeout(self.limit, exchange).await.unwrap_or(Err(UpstreamError::TimedOut));
        self.busy = !matches!(result, Ok(_) | Err(UpstreamError::Server { .. }));
        result
    }

    async fn exchange(upstream: &mut Upstream, request: &[u8]) -> Result<Vec<Vec<Option<String>>>, UpstreamError> {
        let mut messages = Messages::new(&mut upstream.stream, Limits::WHOLE);
        messages.send(request).await?;
        let mut left = LARGEST;
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            let (tag, frame) = messages.next().await?;
            left = left.checked_sub(frame.bytes.len()).ok_or(UpstreamError::TooMuch { limit: LARGEST })?;
            match tag {
                Tag::DataRow => rows.push(row(frame.body())?),
                Tag::ErrorResponse => refused = Some(refusal(&frame)?),
                Tag::ReadyForQuery => break,
                Tag::RowDescription
                | Tag::CommandComplete
                | Tag::EmptyQueryResponse
                | Tag::NoticeResponse
                | Tag::NotificationResponse
                | Tag::ParameterStatus => {}
                Tag::Authentication
                | Tag::BackendKeyData
                | Tag::BindComplete
                | Tag::CloseComplete
                | Tag::CopyBothResponse
                | Tag::CopyData
                | Tag::CopyDone
                | Tag::CopyInResponse
                | Tag::CopyOutResponse
                | Tag::FunctionCallResponse
                | Tag::NegotiateProtocolVersion
                | Tag::NoData
                | Tag::ParameterDescription
                | Tag::ParseComplete
                | Tag::PortalSuspended => return Err(UpstreamError::Unexpected("in answer to a query")),
            }
        }
        let unread = messages.into_unread();
        upstream.stream.unread(unread);
        refused.map_or(Ok(rows), Err)
    }

    /// Gives the connection back.
    ///
    /// # Errors
    /// It was left in the middle of an answer.
    pub fn into_upstream(self) -> Result<Upstream, UpstreamError> {
        if self.busy { Err(UpstreamError::Unusable) } else { Ok(self.upstream) }
    }

    /// The connection's key, to cancel a query by.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Says goodbye. Just dropping it does no harm but a line in the server's log.
    pub async fn close(mut self) {
        let mut goodbye = BytesMut::new();
        encode::terminate(&mut goodbye);
        // whether it hears us or not, we are gone
        let farewell = async {
            let _ = self.upstream.stream.write_all(&goodbye).await;
            let _ = self.upstream.stream.shutdown().await;
        };
        let _ = timeout(self.limit, farewell).await;
    }
}

fn row(body: &[u8]) -> Result<Vec<Option<String>>, UpstreamError> {
    let row = DataRow::parse(body)?;
    row.values
        .into_iter()
        .map(|value| match value {
            None => Ok(None),
            Some(value) => match std::str::from_utf8(value) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(UpstreamError::Unexpected("a value that is not UTF-8")),
            },
        })
        .collect()
}

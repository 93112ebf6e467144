//! The one file whose statements differ between the databases in more than a word. SQLite has a full-text index
//! (FTS5) of documents with a number, PostgreSQL an inverted index (GIN) over an array. What they find is the same.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use shared::encryption::{Ciphertext, SealedContent, SearchTerms, Terms};
use shared::id::{MessageId, UserId};
use uuid::Uuid;

use crate::db::{Conn, Insert, Result, Row};

static QUEUE: Insert = Insert::new("INSERT INTO search_queue (message_id)", 1, "");

/// Says that messages are new or have changed, in the transaction in which they do.
pub async fn enqueue(conn: &mut Conn, messages: &[MessageId]) -> Result<()> {
    QUEUE.all(conn, messages, |query, id| query.bind(id.uuid())).await.map(|_| ())
}

/// Whether messages wait to be indexed.
pub async fn is_behind(conn: &mut Conn) -> Result<bool> {
    const SELECT: &str = "SELECT count(*) FROM (SELECT seq FROM search_queue LIMIT 1) q";
    Ok(conn.sql(SELECT).one(|row| row.take::<i64>()).await? > 0)
}

/// A message as the index holds it.
struct Document {
    message: Uuid,
    conversation: Uuid,
    revision: i64,
    terms: Terms,
}

/// Moves up to `limit` messages from the queue into the index, as they are now, and gives how many it took.
pub async fn index_some(conn: &mut Conn, limit: usize) -> Result<usize> {
    // Whatever commits after the first statement, the second sees it too, or leaves it in the queue.
    const TAKE: &str = "DELETE FROM search_queue WHERE seq IN
        (SELECT seq FROM search_queue ORDER BY seq LIMIT $1) RETURNING message_id";
    const SELECT: &str = "SELECT id, conversation_id, revision, terms FROM messages
        WHERE terms IS NOT NULL AND deleted_at IS NULL AND id IN ({})";
    if conn.is_postgres() {
        // One process after the other, or an older state of a message could be written after a newer one.
        const TURN: &str = "SELECT pg_advisory_xact_lock(8243124938170513777)";
        conn.sql(TURN).execute().await?;
    }
    let count = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut ids: Vec<Uuid> = conn.sql(TAKE).bind(count).all(|row| row.take()).await?;
    let taken = ids.len();
    if taken == 0 {
        return Ok(0);
    }
    ids.sort_unstable();
    ids.dedup();
    let document = |row: &Row| {
        let (message, conversation, revision) = (row.take()?, row.take()?, row.take()?);
        let terms = Terms::unpack(row.take()?).ok().filter(|terms| !terms.is_empty());
        Ok(terms.map(|terms| Document { message, conversation, revision, terms }))
    };
    let documents = conn.sql_in(SELECT, &[], &ids).all(document).await?;
    let documents: Vec<Document> = documents.into_iter().flatten().collect();
    let kept: HashSet<Uuid> = documents.iter().map(|document| document.message).collect();
    ids.retain(|id| !kept.contains(id));
    remove(conn, &ids).await?;
    put(conn, &documents).await?;
    Ok(taken)
}

async fn remove(conn: &mut Conn, messages: &[Uuid]) -> Result<()> {
    const TERMS: &str = "DELETE FROM search_terms WHERE rowid IN
        (SELECT doc FROM search_documents WHERE message_id IN ({}))";
    const DOCUMENTS: &str = "DELETE FROM search_documents WHERE message_id IN ({})";
    if messages.is_empty() {
        return Ok(());
    }
    if !conn.is_postgres() {
        conn.sql_in(TERMS, &[], messages).execute().await?;
    }
    conn.sql_in(DOCUMENTS, &[], messages).execute().await.map(|_| ())
}

async fn put(conn: &mut Conn, documents: &[Document]) -> Result<()> {
    if documents.is_empty() {
        Ok(())
    } else if conn.is_postgres() {
        put_arrays(conn, documents).await
    } else {
        put_texts(conn, documents).await
    }
}

async fn put_arrays(conn: &mut Conn, documents: &[Document]) -> Result<()> {
    static DOCUMENTS: Insert = Insert::new(
        "INSERT INTO search_documents (message_id, revision, terms)
         SELECT v.message_id, v.revision, CAST(v.terms AS bigint[]) FROM (",
        3,
        ") v (message_id, revision, terms)
         ON CONFLICT (message_id) DO UPDATE SET revision = excluded.revision,
            terms = excluded.terms",
    );
    DOCUMENTS
        .all(conn, documents, |query, document| {
            let (_, conversation) = document.conversation.as_u64_pair();
            let terms = array(document.terms.iter().chain([conversation]));
            query.bind(document.message).bind(document.revision).bind(terms)
        })
        .await
        .map(|_| ())
}

async fn put_texts(conn: &mut Conn, documents: &[Document]) -> Result<()> {
    static DOCUMENTS: Insert = Insert::new(
        "INSERT INTO search_documents (message_id, revision)",
        2,
        "ON CONFLICT (message_id) DO UPDATE SET revision = excluded.revision",
    );
    const NUMBERS: &str = "SELECT message_id, doc FROM search_documents WHERE message_id IN ({})";
    static TERMS: Insert = Insert::new("INSERT OR REPLACE INTO search_terms (rowid, terms)", 2, "");
    DOCUMENTS
        .all(conn, documents, |query, document| {
            query.bind(document.message).bind(document.revision)
        })
        .await?;
    let ids: Vec<Uuid> = documents.iter().map(|document| document.message).collect();
    let read = |row: &Row| Ok((row.take::<Uuid>()?, row.take::<i64>()?));
    let numbers = conn.sql_in(NUMBERS, &[], &ids).all(read).await?;
    let numbers: HashMap<_, _> = numbers.into_iter().collect();
    let mut rows: Vec<_> = documents.iter().map(|d| (numbers.get(&d.message), d)).collect();
    // Ascending numbers are what the index takes in fastest.
    rows.sort_unstable_by_key(|(number, _)| *number);
    TERMS
        .all(conn, &rows, |query, (number, document)| {
            let (_, conversation) = document.conversation.as_u64_pair();
            let mut text = String::with_capacity(1024);
            for term in document.terms.iter() {
                let _ = write!(text, "{conversation:016x}{term:016x} ");
            }
            query.bind(number.copied()).bind(text)
        })
        .await
        .map(|_| ())
}

/// An array as PostgreSQL reads it from a text.
#[expect(
    clippy::cast_possible_wrap,
    reason = "it has no unsigned numbers; the bits are what counts"
)]
fn array(terms: impl Iterator<Item = u64>) -> String {
    let mut text = String::from("{");
    for term in terms {
        let comma = if text.len() > 1 { "," } else { "" };
        let _ = write!(text, "{comma}{}", term as i64);
    }
    text.push('}');
    text
}

/// Where the messages `x` come from that a search finds for the participation `p`, and under which condition.
pub struct Found {
    /// What stands after `FROM`, or `CROSS JOIN`.
    pub source: String,
    /// What holds for them.
    pub condition: &'static str,
}

/// Finds the messages of a conversation for which the index has all terms of one of the sets. The conversation is part
/// of what is looked up, so a word that everybody uses costs no more than the conversation has of it. An entry of
/// another revision than the message has by now does not count.
///
/// `bind` takes a value and gives its placeholder.
pub fn found(
    terms: &SearchTerms,
    is_postgres: bool,
    mut bind: impl FnMut(String) -> String,
) -> Found {
    if is_postgres {
        let has = |set: &[u64]| {
            let set = bind(array(set.iter().copied()));
            format!("d.terms @> (CAST(CAST({set} AS text) AS bigint[]) || c.term)")
        };
        let has: Vec<String> = terms.sets().map(has).collect();
        // The fences keep the planner from looking at every message of a conversation: the index is asked first, and
        // then the messages that it knows of.
        let source = format!(
            "LATERAL (SELECT d.message_id, d.revision FROM search_documents d, (SELECT CAST(CAST(
                'x' || right(replace(CAST(p.conversation_id AS text), '-', ''), 16) AS bit(64))
                AS bigint) AS term) c WHERE {} OFFSET 0) d
             CROSS JOIN LATERAL (SELECT m.* FROM messages m WHERE m.id = d.message_id OFFSET 0) x",
            has.join(" OR ")
        );
        Found { source, condition: " AND x.revision = d.revision AND x.deleted_at IS NULL" }
    } else {
        // The x stands for the conversation.
        let all = |set: &[u64]| {
            let terms: Vec<String> = set.iter().map(|term| format!("x{term:016x}")).collect();
            format!("({})", terms.join(" AND "))
        };
        let sets: Vec<String> = terms.sets().map(all).collect();
        let expression = bind(sets.join(" OR "));
        // SQLite takes the tables of a cross join in the order in which they stand.
        let source = format!(
            "(SELECT {expression} AS terms) q CROSS JOIN search_terms s
             CROSS JOIN search_documents d CROSS JOIN messages x"
        );
        let condition = " AND s.search_terms MATCH
                replace(q.terms, 'x', lower(hex(substr(p.conversation_id, 9))))
             AND d.doc = s.rowid AND x.id = d.message_id AND x.revision = d.revision
             AND x.deleted_at IS NULL";
        Found { source, condition }
    }
}

/// How many messages have a text and no terms.
pub async fn without_terms(conn: &mut Conn) -> Result<i64> {
    const SELECT: &str =
        "SELECT count(*) FROM messages WHERE content IS NOT NULL AND terms IS NULL";
    conn.sql(SELECT).one(|row| row.take()).await
}

/// How many messages have a text.
pub async fn with_text(conn: &mut Conn) -> Result<i64> {
    const SELECT: &str = "SELECT count(*) FROM messages WHERE content IS NOT NULL";
    conn.sql(SELECT).one(|row| row.take()).await
}

/// A message whose terms are to be made anew.
pub struct Stale {
    /// Which.
    pub id: MessageId,
    /// The revision of its text.
    pub revision: i64,
    /// Its text.
    pub content: SealedContent,
}

/// The first messages after one in the order of their ids, with a text and without terms that begin with `mark`; all
/// with a text if there is none.
pub async fn stale(
    conn: &mut Conn,
    after: MessageId,
    mark: Option<&[u8]>,
    limit: i64,
) -> Result<Vec<Stale>> {
    const SELECT: &str = "SELECT id, sender_id, content, key_id, revision FROM messages
        WHERE id > $1 AND content IS NOT NULL
            AND ($2 OR terms IS NULL OR substr(terms, 1, $3) <> $4)
        ORDER BY id LIMIT $5";
    let query = conn.sql(SELECT).bind(after.uuid()).bind(mark.is_none());
    let mark = mark.unwrap_or_default();
    let query = query.bind(i32::try_from(mark.len()).unwrap_or(0)).bind(mark.to_vec()).bind(limit);
    let read = |row: &Row| {
        let (id, sender): (MessageId, UserId) = (row.id()?, row.id()?);
        let (token, key) = (row.take::<String>()?, row.take::<Option<i64>>()?);
        let revision = row.take()?;
        let content = Ciphertext::stored(key.unwrap_or(0), token);
        Ok(Stale { id, revision, content: SealedContent::new(id, sender, revision, content) })
    };
    query.all(read).await
}

/// Gives a message other terms, if its text is still that of `revision`, and queues it.
pub async fn renew(conn: &mut Conn, id: MessageId, revision: i64, terms: &Terms) -> Result<()> {
    const UPDATE: &str = "UPDATE messages SET terms = $3
        WHERE id = $1 AND revision = $2 AND deleted_at IS NULL";
    let query = conn.sql(UPDATE).bind(id.uuid()).bind(revision).bind(terms.packed().to_vec());
    if query.execute().await? == 1 {
        enqueue(conn, &[id]).await?;
    }
    Ok(())
}

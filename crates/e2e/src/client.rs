use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

/// The password of every user in tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// A user of the API of one app, logged in or not.
#[derive(Clone)]
pub struct Client {
    /// Where the app is, without a slash at the end.
    pub base: String,
    /// The username, empty before [`Client::join`].
    pub name: String,
    /// The app's name.
    pub app: String,
    /// The access token, if there is one.
    pub token: Option<String>,
    /// The refresh token, if there is one.
    pub refresh: Option<String>,
    http: reqwest::Client,
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null if it is none.
    pub json: Value,
}

impl Reply {
    /// The reply, if it has this status; panics with the whole of it otherwise.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "the check is often all that is wanted")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:#?}");
        self
    }

    /// The problem's code.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// The `results` of a list.
    #[track_caller]
    pub fn results(&self) -> &Vec<Value> {
        self.json["results"].as_array().unwrap_or_else(|| panic!("not a list: {self:#?}"))
    }

    /// A text at a key of the body.
    #[track_caller]
    pub fn str(&self, key: &str) -> String {
        self.json[key].as_str().unwrap_or_else(|| panic!("no {key} in {self:#?}")).to_owned()
    }
}

impl Client {
    /// Somebody who has not logged in.
    pub fn new(base: &str, app: &str) -> Self {
        Self::with(base, app, reqwest::Client::builder())
    }

    /// The same, whose connections begin as `http` says.
    pub fn with(base: &str, app: &str, http: reqwest::ClientBuilder) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = http.no_proxy().redirect(reqwest::redirect::Policy::none());
        Self {
            base: base.to_owned(),
            name: String::new(),
            app: app.to_owned(),
            token: None,
            refresh: None,
            http: http.build().expect("an HTTP client"),
        }
    }

    /// Registers a user with this name, followed by some random digits if it has a `*`, and logs in.
    pub async fn join(&self, name: &str) -> Self {
        let name = name.replace('*', &format!("{:08x}", rand::random::<u32>()));
        let email = format!("{name}@example.org");
        let body = json!({ "username": name, "email": email, "password": PASSWORD });
        self.post("/api/auth/register/", &body).await.expect(201);
        let mut joined = self.clone();
        joined.name = name;
        joined.log_in().await;
        joined
    }

    /// Logs in anew.
    pub async fn log_in(&mut self) {
        let body = json!({ "username": self.name, "password": PASSWORD });
        let reply = self.post("/api/auth/login/", &body).await.expect(200);
        self.token = Some(reply.str("access_token"));
        self.refresh = Some(reply.str("refresh_token"));
    }

    /// The own profile.
    pub async fn me(&self) -> Value {
        self.get("/api/auth/me/").await.expect(200).json
    }

    /// `username@app`.
    pub fn address(&self) -> String {
        format!("{}@{}", self.name, self.app)
    }

    /// A request that can still be given headers.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request; `Err` if there is no answer.
    pub async fn try_run(&self, request: reqwest::RequestBuilder) -> Result<Reply, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let json = serde_json::from_str(&text).unwrap_or_default();
        Ok(Reply { status, headers, text, json })
    }

    /// Sends a request.
    pub async fn run(&self, request: reqwest::RequestBuilder) -> Reply {
        self.try_run(request).await.expect("an answer")
    }

    /// `GET`. Once more if a connection from before a restart turns out to be closed when it is used again.
    pub async fn get(&self, path: &str) -> Reply {
        match self.try_run(self.request(Method::GET, path)).await {
            Err(error) if error.is_request() => self.run(self.request(Method::GET, path)).await,
            answer => answer.expect("an answer"),
        }
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.run(self.request(Method::POST, path).json(body)).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.run(self.request(Method::PATCH, path).json(body)).await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.run(self.request(Method::PUT, path).json(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.run(self.request(Method::DELETE, path)).await
    }

    /// Sends a message to a user, and gives it as it was answered.
    pub async fn send(&self, recipient: &str, content: &str) -> Value {
        let body = json!({ "recipient": recipient, "content": content });
        self.post("/api/messages/send/", &body).await.expect(201).json
    }

    /// The contents of all messages of a conversation, the oldest first.
    pub async fn read(&self, conversation: &str) -> Vec<String> {
        let mut contents = Vec::new();
        for page in 1.. {
            let path = format!(
                "/api/chats/conversations/{conversation}/messages/?page={page}&page_size=100"
            );
            let reply = self.get(&path).await;
            if reply.status == StatusCode::NOT_FOUND {
                break;
            }
            let reply = reply.expect(200);
            let texts = reply
                .results()
                .iter()
                .map(|m| m["content"].as_str().unwrap_or("(none)").to_owned());
            contents.extend(texts);
            if reply.json["next"].is_null() {
                break;
            }
        }
        contents.reverse();
        contents
    }
}

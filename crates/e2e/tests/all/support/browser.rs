//! A browser as the apps see it: it keeps cookies by name and path, and says where its page is from.

use std::collections::BTreeMap;

use e2e::{Client, Reply};
use http::Method;
use serde_json::{Value, json};

pub const PASSWORD: &str = "correct horse battery staple";

/// A browser with a page of one app open.
#[derive(Clone)]
pub struct Browser {
    /// The same person without cookies or tokens.
    pub client: Client,
    /// Value and path of each cookie.
    pub jar: BTreeMap<String, (String, String)>,
    /// What stands before the names of the cookies that go to every path.
    pub prefix: &'static str,
}

impl Browser {
    /// Registers somebody, and logs them in with cookies.
    pub async fn join(client: &Client, name: &str, prefix: &'static str) -> Self {
        let mut client = client.join(name).await;
        (client.token, client.refresh) = (None, None);
        let mut browser = Self { client, jar: BTreeMap::new(), prefix };
        browser.log_in().await.expect(200);
        browser
    }

    /// Logs in with cookies.
    pub async fn log_in(&mut self) -> Reply {
        let body =
            json!({ "username": self.client.name, "password": PASSWORD, "session": "cookie" });
        let request = self.request(Method::POST, "/api/auth/login/").json(&body);
        self.run(request).await
    }

    /// The value of a cookie by the end of its name; panics if there is none.
    #[track_caller]
    pub fn cookie(&self, name: &str) -> String {
        let found = self.jar.iter().find(|(known, _)| known.ends_with(name));
        found.unwrap_or_else(|| panic!("no {name} in {:?}", self.jar)).1.0.clone()
    }

    /// The `Cookie` header for a path.
    pub fn cookies(&self, path: &str) -> String {
        let due = self.jar.iter().filter(|(_, (_, root))| path.starts_with(root.as_str()));
        due.map(|(name, (value, _))| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// A request with the cookies, and with nothing else.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, path);
        let cookies = self.cookies(path);
        if cookies.is_empty() { request } else { request.header("cookie", cookies) }
    }

    /// A request as a page of the app itself sends it.
    pub fn page_request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.request(method, path).header("origin", &self.client.base);
        let csrf = self.jar.get(&format!("{}csrftoken", self.prefix));
        let request = request.header("sec-fetch-site", "same-origin");
        match csrf {
            Some((token, _)) => request.header("x-csrftoken", token),
            None => request,
        }
    }

    /// Sends a request, and keeps the cookies of the answer.
    pub async fn run(&mut self, request: reqwest::RequestBuilder) -> Reply {
        let reply = self.client.run(request).await;
        for set in reply.headers.get_all("set-cookie") {
            let set = set.to_str().expect("a plain cookie");
            let (name, rest) = set.split_once('=').expect("a name");
            let value = rest.split(';').next().expect("a value");
            let path = rest.split("; Path=").nth(1).and_then(|rest| rest.split(';').next());
            if set.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                let path = path.expect("a path").to_owned();
                self.jar.insert(name.to_owned(), (value.to_owned(), path));
            }
        }
        reply
    }

    /// `GET`.
    pub async fn get(&mut self, path: &str) -> Reply {
        let request = self.request(Method::GET, path);
        self.run(request).await
    }

    /// `POST` from a page of the app.
    pub async fn post(&mut self, path: &str, body: &Value) -> Reply {
        let request = self.page_request(Method::POST, path).json(body);
        self.run(request).await
    }
}

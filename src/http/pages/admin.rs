pub fn routes() -> Vec<crate::http::Route> {
    vec![]
}

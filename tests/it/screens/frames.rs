//! Pictures of a screen's camera that the gateway reads for it.

use qrcode::QrCode;
use reqwest::Method;
use serde_json::{Value, json};

use super::screen::Screen;
use crate::support::app::TestApp;
use crate::support::client::Reply;

const LOUNGE: &str = r#"{"score":{"source":"klout"},"tiers":[{"id":"main","name":"Main lounge",
    "when":{"attr":"score","op":"gte","value":40}}],"token":{"audience":"sfo-lounge","ttl":"PT30M"}}"#;

/// The lightness of a picture with this code in it, dark on light, off the middle.
fn picture_of(text: &str, (width, height): (usize, usize)) -> Vec<u8> {
    let code = QrCode::new(text).unwrap();
    let (side, scale) = (code.width(), 6);
    let colors = code.to_colors();
    let mut picture = vec![190; width * height];
    let (left, top) = (width / 2 - side * scale / 2 + 7, height / 2 - side * scale / 2 - 3);
    for y in 0..side * scale {
        for x in 0..side * scale {
            picture[(top + y) * width + left + x] = colors[y / scale * side + x / scale].select(40, 190);
        }
    }
    picture
}

async fn send_by(screen: &Screen, size: (usize, usize), picture: Vec<u8>, headers: &[(&str, &str)]) -> Reply {
    let path = format!("/screens/frames?width={}&height={}", size.0, size.1);
    let ask = screen.client.ask(Method::POST, &path).body("application/octet-stream", picture);
    let ask = ask.header("sec-fetch-site", "same-origin");
    let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
    match &screen.cookie {
        Some(cookie) => ask.header("cookie", cookie).await,
        None => ask.await,
    }
}

async fn send(screen: &Screen, size: (usize, usize), picture: Vec<u8>) -> Reply {
    send_by(screen, size, picture, &[("perkgate-page", &screen.page_token)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_in_a_picture_is_read_and_nothing_of_it_is_kept() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let kiosk = Screen::kiosk(&app, 'k').await;
        let (_, door) = Screen::door(&app, 'd').await;
        let question = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let token = app.kiosk().await.post("/v1/checks", &question).await.text_of("token");
        let other = Screen::kiosk(&app, 'o').await;
        let before = app.footprint().await;
        let lying = (1_280, 720);
        assert_eq!(send(&kiosk, lying, picture_of("twitter:ada", lying)).await.is(200), json!({"read": "twitter:ada"}));
        assert_eq!(send(&door, lying, picture_of(&token, lying)).await.is(200), json!({"read": token}));
        let standing = (720, 1_280);
        assert_eq!(send(&door, standing, picture_of("ÅØ", standing)).await.is(200), json!({"read": "ÅØ"}));
        // No code: all of one lightness, and noise.
        assert_eq!(send(&kiosk, (1, 1), vec![0]).await.is(200), json!({"read": Value::Null}));
        let noise = (0_u32..1_280 * 720).map(|nth| nth.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        assert_eq!(send(&other, lying, noise).await.is(200), json!({"read": Value::Null}));
        assert_eq!(app.footprint().await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_of_its_size_is_refused() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let wrong = [
        ((0, 720), 0),
        ((1_280, 0), 0),
        ((1_281, 700), 896_700),
        ((800, 721), 0),
        ((640, 480), 307_199),
        ((640, 480), 0),
    ];
    for (letter, (size, length)) in ('a'..).zip(wrong) {
        let kiosk = Screen::kiosk(&app, letter).await;
        let refused = send(&kiosk, size, vec![9; length]).await;
        let errors = refused.problem(422, "invalid_request");
        assert!(errors[0].1 == "out_of_range" || errors[0].1 == "invalid_value", "{size:?}: {errors:?}");
    }
    let kiosk = Screen::kiosk(&app, 'y').await;
    send(&kiosk, (1_280, 720), vec![9; 1_280 * 720 + 1]).await.problem(413, "body_too_large");
    let kiosk = Screen::kiosk(&app, 'z').await;
    let ask = kiosk.client.post("/screens/frames?width=2&height=1", &json!({"read": "x"}));
    let ask = ask.header("sec-fetch-site", "same-origin").header("perkgate-page", &kiosk.page_token);
    ask.header("cookie", kiosk.cookie.as_deref().unwrap()).await.problem(415, "unsupported_media_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_screens_own_page_has_pictures_read_and_not_more_than_it_needs() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let (kiosk, other) = (Screen::kiosk(&app, 'k').await, Screen::kiosk(&app, 'o').await);
    let page = ("perkgate-page", kiosk.page_token.as_str());
    for headers in
        [&[][..], &[("perkgate-page", other.page_token.as_str())], &[page, ("origin", "https://evil.example")]]
    {
        send_by(&kiosk, (1, 1), vec![0], headers).await.problem(403, "forbidden");
    }
    let bare = Screen { page_token: kiosk.page_token.clone(), ..Screen::new(&app) };
    send(&bare, (1, 1), vec![0]).await.problem(401, "missing_key");
    let mut last = send(&kiosk, (1, 1), vec![0]).await;
    for _ in 0..200 {
        if last.status == 200 {
            last = send(&kiosk, (1, 1), vec![0]).await;
        }
    }
    last.problem(429, "rate_limited");
    assert_eq!(last.header("retry-after"), "1");
    assert_eq!(send(&other, (1, 1), vec![0]).await.status, 200, "each screen by itself");
}

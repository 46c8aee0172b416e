//! The pages for all users, and their routes.

pub mod admin;
pub mod email;
mod event_line;
pub mod factor;
pub mod factors;
pub mod history;
pub mod home;
mod link_page;
pub mod login;
pub mod logout;
pub mod not_me;
pub mod operations;
pub mod password;
pub mod setup;
mod strength;
mod switch;

use super::{
    assets, paths,
    route::{Audience, Route},
};

/// Lists the routes of the pages outside the console.
pub fn routes() -> Vec<Route> {
    [
        sign_in_routes(),
        factor_routes(),
        password_routes(),
        own_account_routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn sign_in_routes() -> Vec<Route> {
    vec![
        Route::get(paths::STATIC, Audience::Anyone, assets::serve),
        Route::get(paths::HEALTHZ, Audience::Anyone, operations::healthz),
        Route::get(paths::READYZ, Audience::Anyone, operations::readyz),
        Route::get(paths::LOGIN, Audience::Anyone, login::form),
        Route::post(paths::LOGIN, Audience::Anyone, login::submit),
        Route::get(paths::LOGIN_FACTOR, Audience::Anyone, login::factor::form),
        Route::post(paths::LOGIN_FACTOR, Audience::Anyone, login::factor::submit),
        Route::post(paths::LOGIN_FACTOR_OPTIONS, Audience::Anyone, login::factor::options),
        Route::post(paths::LOGIN_FACTOR_PASSKEY, Audience::Anyone, login::factor::passkey),
        Route::post(paths::LOGIN_PASSKEY_OPTIONS, Audience::Anyone, login::passkey::options),
        Route::post(paths::LOGIN_PASSKEY, Audience::Anyone, login::passkey::submit),
        Route::get(paths::LOGIN_OIDC, Audience::Anyone, login::provider::start),
        Route::get(paths::LOGIN_OIDC_CALLBACK, Audience::Anyone, login::provider::callback),
        Route::get(paths::LOGIN_OIDC_ANSWER, Audience::Anyone, login::provider::answer),
        Route::get(paths::LOGIN_OIDC_AGAIN, Audience::Anyone, login::provider::again),
        Route::get(paths::LOGIN_OIDC_CONFIRM, Audience::Member, login::provider::confirm),
        Route::get(paths::LOGOUT_PROVIDER, Audience::Anyone, logout::provider),
        Route::post(paths::LOGOUT, Audience::Anyone, logout::submit),
        Route::get(paths::SWITCH, Audience::Anyone, switch::form),
    ]
}

fn factor_routes() -> Vec<Route> {
    vec![
        Route::get(paths::FACTOR, Audience::Member, factor::form),
        Route::post(paths::FACTOR, Audience::Member, factor::submit),
        Route::post(paths::FACTOR_OPTIONS, Audience::Member, factor::options),
        Route::post(paths::FACTOR_PASSKEY, Audience::Member, factor::passkey),
        Route::get(paths::FACTORS, Audience::Member, factors::show),
        Route::get(paths::FACTORS_ENROL, Audience::Anyone, factors::link::form),
        Route::post(paths::FACTORS_ENROL, Audience::Anyone, factors::link::submit),
        Route::get(paths::FACTORS_APP_START, Audience::Member, factors::start_again),
        Route::post(paths::FACTORS_APP_START, Audience::Member, factors::app::start).step_up(),
        Route::post(paths::FACTORS_APP, Audience::Member, factors::app::confirm).step_up(),
        Route::get(
            paths::FACTORS_APP_REMOVE,
            Audience::Member,
            factors::removal::confirm_app,
        ),
        Route::post(paths::FACTORS_APP_REMOVE, Audience::Member, factors::app::remove).step_up(),
        Route::get(paths::FACTORS_PASSKEY_NEW, Audience::Member, factors::start_again),
        Route::post(paths::FACTORS_PASSKEY_NEW, Audience::Member, factors::passkeys::form).step_up(),
        Route::post(
            paths::FACTORS_PASSKEY_OPTIONS,
            Audience::Member,
            factors::passkeys::options,
        )
        .step_up(),
        Route::post(paths::FACTORS_PASSKEYS, Audience::Member, factors::passkeys::add).step_up(),
        Route::post(
            paths::FACTORS_PASSKEY_RENAME,
            Audience::Member,
            factors::passkeys::rename,
        )
        .step_up(),
        Route::get(
            paths::FACTORS_PASSKEY_REMOVE,
            Audience::Member,
            factors::removal::confirm_passkey,
        ),
        Route::post(
            paths::FACTORS_PASSKEY_REMOVE,
            Audience::Member,
            factors::passkeys::remove,
        )
        .step_up(),
        Route::post(paths::FACTORS_RECOVERY, Audience::Member, factors::recovery::make).step_up(),
        Route::post(paths::FACTORS_BROWSER_REMOVE, Audience::Member, factors::untrust).step_up(),
    ]
}

fn password_routes() -> Vec<Route> {
    vec![
        Route::get(paths::PASSWORD, Audience::Pending, password::form),
        Route::post(paths::PASSWORD, Audience::Pending, password::submit),
        Route::post(paths::PASSWORD_STRENGTH, Audience::Pending, password::strength),
        Route::get(paths::PASSWORD_FORGOT, Audience::Anyone, password::forgot::form),
        Route::post(paths::PASSWORD_FORGOT, Audience::Anyone, password::forgot::submit),
        Route::get(paths::PASSWORD_RESET, Audience::Anyone, password::reset::form),
        Route::post(paths::PASSWORD_RESET, Audience::Anyone, password::reset::submit),
        Route::post(
            paths::PASSWORD_RESET_STRENGTH,
            Audience::Anyone,
            password::reset::strength,
        ),
        Route::get(paths::CHANGE_PASSWORD, Audience::Anyone, password::well_known),
    ]
}

fn own_account_routes() -> Vec<Route> {
    vec![
        Route::get(paths::SETUP, Audience::Anyone, setup::form),
        Route::post(paths::SETUP, Audience::Anyone, setup::submit),
        Route::post(paths::SETUP_STRENGTH, Audience::Anyone, setup::strength),
        Route::get(paths::HOME, Audience::Member, home::show),
        Route::post(paths::SESSION_END, Audience::Member, home::end).step_up(),
        Route::post(paths::SESSION_REPORT, Audience::Member, home::report_session).step_up(),
        Route::post(paths::EMAIL, Audience::Member, email::request).step_up(),
        Route::get(paths::EMAIL_CONFIRM, Audience::Anyone, email::show_change),
        Route::post(paths::EMAIL_CONFIRM, Audience::Anyone, email::confirm),
        Route::get(paths::EMAIL_CANCEL, Audience::Anyone, email::show_change),
        Route::post(paths::EMAIL_CANCEL, Audience::Anyone, email::cancel),
        Route::get(paths::NOT_ME, Audience::Anyone, not_me::form),
        Route::post(paths::NOT_ME, Audience::Anyone, not_me::submit),
        Route::post(paths::NOTICES, Audience::Member, home::choose_notices).step_up(),
        Route::get(paths::HISTORY, Audience::Member, history::show),
        Route::post(paths::SESSIONS_END_OTHERS, Audience::Member, home::end_others).step_up(),
    ]
}

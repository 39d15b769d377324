# Cloakroom's pages in English. Every message here also stands in ko.ftl.

## Around every page

title = { $title } · Cloakroom
title-error = Error: { $title } · Cloakroom
skip = Skip to content
nav = Your account
nav-devices = Devices
nav-password = Password
nav-delete = Delete account
nav-sign-out = Sign out
signed-in-as = Signed in as

## Fields

email = E-mail
name = Name
optional = optional
password = Password
current-password = Current password
new-password = New password
new-password-hint = At least { $minimum } characters. A few unrelated words make a good password.

## Sign in

signin = Sign in
signin-to = to continue to { $app }
signin-do = Sign in
signin-end-others = Sign me out everywhere else
signin-no-account = New here?
signin-to-signup = Create an account

## Sign up

signup = Create an account
signup-to = to use { $app }
signup-do = Create account
signup-have-account = Already have an account?
signup-to-signin = Sign in

## Sign out

signout = Sign out
signout-text = You will be signed out on this device. You stay signed in on your other devices.
signout-do = Sign out
signout-stay = Stay signed in

## Devices

devices = Your devices
devices-text = This is where you are signed in. If you do not recognise one of these, end it and change your password.
devices-none = There is nothing to list here.
devices-unlisted = Some apps keep no record of who is signed in, so those sign-ins cannot be listed. The button below ends them as well.
devices-this = This device
devices-method = Method
devices-alarm = A session at { $app } was ended to protect you: its key was used twice, so somebody may have copied it. If you do not know why, change your password.
devices-older = Older sign-ins
devices-active = Last active
devices-since = Signed in
devices-address = Address
devices-address-unknown = not known
devices-end = End session
devices-end-this = Sign out here
devices-end-of = { $device }, { $app }
devices-others = Something here that is not you?
devices-others-text = This ends every session except the one on this device.
devices-others-do = End all other sessions
devices-everything-text = This ends every session, the one on this device too: it keeps no record by which it could be left out.
devices-everything-do = Sign out everywhere
client = { $browser } on { $system }
client-program = A program
client-program-on = A program on { $system }
client-unknown = Unknown browser

## Change the password

password-title = Change your password
password-text = You stay signed in here. Every other session is ended.
password-do = Change password

## On the way to a page

onward = One moment
onward-do = Go on

## The password again, before other sessions are ended

confirm = Confirm that it is you
confirm-one = You signed in a while ago. To end another session, enter your password.
confirm-others = You signed in a while ago. To end all other sessions, enter your password.
confirm-hint = So that nobody who finds this device open can sign you out elsewhere.
confirm-back = Back to your devices

## Delete the account

delete = Delete your account
delete-text = Your account and everything kept with it are deleted for good, and you are signed out everywhere. This cannot be undone.
delete-password-hint = To make sure that it is you.
delete-do = Delete account for good
delete-keep = Keep my account

## Errors as pages

error-missing = This page is not here
error-busy = Please try again in a moment
error-denied = You cannot do this here
error-signin = Please sign in again
error-broken = Something went wrong
error-code = Code
error-to-devices = Go to your devices
error-to-signin = Go to sign-in

## Done

done-signed-out = You are signed out.
done-account-deleted = Your account has been deleted.
done-password-changed = Your password has been changed, and all other sessions have been ended.
done-session-ended = The session has been ended.
done-others-ended = All other sessions have been ended.
done-everything-ended = You are signed out everywhere.

## What went wrong, by the code of the refusal

refusal-invalid_credentials = The e-mail address or the password is not right. Please check both and try again.
refusal-credential_missing = Please sign in to go on.
refusal-credential_invalid = Your sign-in is no longer valid. Please sign in again.
refusal-session_expired = Your session has expired. Please sign in again.
refusal-session_revoked = Your session was ended. Please sign in again.
refusal-token_expired = Your session has to be renewed. Please sign in again.
refusal-token_reused = To protect your account, this session was ended: its key was used twice. Please sign in again.
refusal-wrong_app = You are signed in to a different app. Please sign in to this one.
refusal-mfa_required = One more step is needed to sign you in.
refusal-reauthentication_required = You signed in too long ago for this. Please sign in again.
refusal-cross_site_request = To protect you, this request was stopped: it did not clearly come from this site. Please open the page again and retry.
refusal-not_admitted = This app is not open to you. If you think it should be, please ask the people who run it.
refusal-invalid_request = Something in the request was not as it should be. Please go back and try again.
refusal-unknown_app = There is no such app. Please check the link that brought you here.
refusal-not_found = What you are looking for does not exist, or is not yours.
refusal-method_not_allowed = This address cannot be used that way. Please go back and start from the page itself.
refusal-email_taken = There is already an account with this e-mail address. You can sign in with it.
refusal-too_large = That was too much to send at once.
refusal-rate_limited = There were too many attempts. Please wait a while and try again.
refusal-overloaded = Very many people are signing in right now. Please try again in a moment.
refusal-store_unavailable = Our records cannot be reached right now. Nothing is lost; please try again in a moment.
refusal-internal = Something broke on our side. Please try again in a moment.

## What went wrong, more finely

problem-wrong-password = That password is not right. Please try again.
problem-bad-email = That is not an e-mail address. Please check it.
problem-registration-closed = New accounts cannot be made here. If you need one, please ask the people who run this.
problem-password-too-short = That password is too short. It needs at least { $minimum } characters.
problem-password-too-long = That password is too long. Please choose a shorter one.
problem-password-too-weak = That password is too easy to guess. Please choose one that is longer or more unusual.
problem-rate-limited = There were too many attempts. Please try again in { $wait }.
problem-overloaded = Very many people are signing in right now. Please try again in { $wait }.

## Time

just-now = just now
ago = { $time } ago
duration = { $unit ->
    [second] { $count ->
        [one] { $count } second
       *[other] { $count } seconds
    }
    [minute] { $count ->
        [one] { $count } minute
       *[other] { $count } minutes
    }
    [hour] { $count ->
        [one] { $count } hour
       *[other] { $count } hours
    }
   *[day] { $count ->
        [one] { $count } day
       *[other] { $count } days
    }
}

## What the server does (serve --explain)

explain = What the server does
explain-methods = Methods
explain-session = A ticket in an HttpOnly cookie; the server keeps a record and looks it up, or remembers that it did.
explain-jwt = An access token that is checked by its signature, and a refresh token that rotates on a record.
explain-jwt-stateless = Access and refresh token that stand for themselves; the server keeps nothing but what has ended.
explain-phantom = A ticket as with session; what stands behind the server gets a token of a minute with each request.
explain-person = The person
explain-thief = A thief
explain-operator = The operator
explain-sign-in = Sign in
explain-ask = Send a request
explain-renew = Renew
explain-sign-out = Sign out
explain-copy = Steal
explain-steal = A thief copies the credential
explain-thief-asks = The thief sends a request
explain-thief-renews = The thief renews
explain-end = End the session
explain-kill-key = Kill the key
explain-start-over = Start over
explain-kill-text = Every message here is real, and so is a killed key: everybody who holds something that it made is refused. A token is replaced at most once in the app's refresh_grace, so that theft by renewal shows after that.
explain-client-holds = The client holds
explain-thief-holds = The thief holds
explain-server-keeps = The server keeps
explain-nothing = Nothing.
explain-no-record = No record.
explain-log-has-it = The revocation log says that this session has ended.
explain-claims = What it says
explain-show = Show
explain-warm = Checked from memory: no store was asked, because the verifier has heard of every end so far.
explain-heard = Refused from memory: no store was asked, because the verifier has heard of this end.
explain-stolen = A second client now holds the same. Nobody is told; the server cannot know.
explain-accepted = accepted
explain-refused = refused
explain-lane-thief = Thief
explain-lane-client = Client
explain-lane-server = Server
explain-lane-store = Store
explain-part-password = password hash
explain-part-signature = signature
explain-part-sessions = session store
explain-part-accounts = account store
explain-part-rest = the rest of the server
explain-part-wire = connection and HTTP
explain-part-waiting = waiting for a free thread
explain-did-password = hashes the password
explain-did-sign = signs a token
explain-did-check = checks the signature
explain-did-create = keeps a record
explain-did-rotate = swaps the generation
explain-did-delete = deletes the record
explain-did-read = reads the record
explain-did-change = changes the record
explain-did-login = finds the account by its address
explain-did-standing = reads the account's and the app's epoch
explain-did-end = writes the end into the log
explain-did-end-delete = writes the end into the log, and deletes the record
explain-did-log = asks the log what has ended
explain-did-keys = reads or changes the keys
explain-did-account = asks about the account

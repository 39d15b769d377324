# Cloakroom의 화면 문구(한국어). 모든 문구는 en.ftl에도 있습니다.

## 모든 화면

title = { $title } · Cloakroom
title-error = 오류: { $title } · Cloakroom
skip = 본문으로 건너뛰기
nav = 내 계정
nav-devices = 기기
nav-password = 비밀번호
nav-delete = 계정 삭제
nav-sign-out = 로그아웃
signed-in-as = 로그인한 계정

## 입력란

email = 이메일
name = 이름
optional = 선택
password = 비밀번호
current-password = 현재 비밀번호
new-password = 새 비밀번호
new-password-hint = { $minimum }자 이상 입력해 주세요. 서로 관련 없는 단어를 몇 개 이어 쓰면 안전해요.

## 로그인

signin = 로그인
signin-to = { $app }에 로그인합니다
signin-do = 로그인
signin-end-others = 다른 기기에서는 모두 로그아웃
signin-no-account = 처음이신가요?
signin-to-signup = 회원가입

## 회원가입

signup = 회원가입
signup-to = { $app }에서 사용할 계정을 만듭니다
signup-do = 가입하기
signup-have-account = 이미 계정이 있으신가요?
signup-to-signin = 로그인

## 로그아웃

signout = 로그아웃
signout-text = 이 기기에서 로그아웃합니다. 다른 기기의 로그인은 그대로 유지돼요.
signout-do = 로그아웃
signout-stay = 로그인 유지하기

## 기기

devices = 로그인한 기기
devices-text = 지금 로그인되어 있는 기기 목록입니다. 모르는 기기가 있다면 로그아웃한 뒤 비밀번호를 바꿔 주세요.
devices-none = 표시할 기기가 없어요.
devices-unlisted = 로그인 기록을 남기지 않는 앱은 목록에 표시되지 않아요. 아래 버튼을 누르면 이런 앱에서도 함께 로그아웃됩니다.
devices-this = 이 기기
devices-method = 방식
devices-alarm = { $app }에서 같은 로그인 정보가 두 번 사용되어 안전을 위해 로그아웃했어요. 누군가 복사했을 수 있으니, 짐작 가는 이유가 없다면 비밀번호를 바꿔 주세요.
devices-older = 이전 로그인 보기
devices-active = 마지막 활동
devices-since = 로그인 시각
devices-address = 접속 주소
devices-address-unknown = 알 수 없음
devices-end = 로그아웃
devices-end-this = 이 기기에서 로그아웃
devices-end-of = { $device }, { $app }
devices-others = 모르는 로그인이 있나요?
devices-others-text = 지금 이 기기를 제외한 모든 기기에서 로그아웃합니다.
devices-others-do = 다른 기기 모두 로그아웃
devices-everything-text = 이 기기를 포함한 모든 기기에서 로그아웃합니다. 지금 로그인은 기록을 남기지 않아 이 기기만 남겨 둘 수 없어요.
devices-everything-do = 모든 기기에서 로그아웃
client = { $browser } · { $system }
client-program = 프로그램
client-program-on = 프로그램 · { $system }
client-unknown = 알 수 없는 브라우저

## 비밀번호 변경

password-title = 비밀번호 변경
password-text = 비밀번호를 바꾸면 이 기기를 제외한 모든 기기에서 로그아웃됩니다.
password-do = 비밀번호 변경

## 화면으로 가는 중

onward = 잠시만 기다려 주세요
onward-do = 계속하기

## 다른 기기에서 로그아웃하기 전의 비밀번호 확인

confirm = 본인 확인
confirm-one = 로그인한 지 시간이 지났어요. 다른 기기에서 로그아웃하려면 비밀번호를 입력해 주세요.
confirm-others = 로그인한 지 시간이 지났어요. 다른 기기에서 모두 로그아웃하려면 비밀번호를 입력해 주세요.
confirm-hint = 열려 있는 이 기기를 다른 사람이 쓰더라도 마음대로 로그아웃할 수 없도록 확인합니다.
confirm-back = 기기 목록으로 돌아가기

## 계정 삭제

delete = 계정 삭제
delete-text = 계정과 계정에 저장된 정보가 모두 삭제되고, 모든 기기에서 로그아웃됩니다. 삭제한 계정은 되돌릴 수 없어요.
delete-password-hint = 본인 확인을 위해 입력해 주세요.
delete-do = 계정 영구 삭제
delete-keep = 계정 유지하기

## 오류 화면

error-missing = 페이지를 찾을 수 없어요
error-busy = 잠시 후 다시 시도해 주세요
error-denied = 이 작업은 할 수 없어요
error-signin = 다시 로그인해 주세요
error-broken = 문제가 발생했어요
error-code = 코드
error-to-devices = 로그인한 기기 보기
error-to-signin = 로그인하러 가기

## 완료

done-signed-out = 로그아웃했어요.
done-account-deleted = 계정을 삭제했어요.
done-password-changed = 비밀번호를 바꾸고 다른 기기에서 모두 로그아웃했어요.
done-session-ended = 선택한 기기에서 로그아웃했어요.
done-others-ended = 다른 기기에서 모두 로그아웃했어요.
done-everything-ended = 모든 기기에서 로그아웃했어요.

## 거절 코드별 안내

refusal-invalid_credentials = 이메일 또는 비밀번호가 올바르지 않아요. 다시 확인해 주세요.
refusal-credential_missing = 계속하려면 로그인해 주세요.
refusal-credential_invalid = 로그인 정보가 더 이상 유효하지 않아요. 다시 로그인해 주세요.
refusal-session_expired = 로그인 시간이 만료되었어요. 다시 로그인해 주세요.
refusal-session_revoked = 로그아웃된 상태예요. 다시 로그인해 주세요.
refusal-token_expired = 로그인 정보를 갱신해야 해요. 다시 로그인해 주세요.
refusal-token_reused = 같은 로그인 정보가 두 번 사용되어 계정을 보호하기 위해 로그아웃했어요. 다시 로그인해 주세요.
refusal-wrong_app = 다른 앱에 로그인되어 있어요. 이 앱에 로그인해 주세요.
refusal-mfa_required = 로그인하려면 한 단계가 더 필요해요.
refusal-reauthentication_required = 로그인한 지 오래되어 다시 로그인해야 합니다.
refusal-cross_site_request = 이 사이트에서 보낸 요청인지 확인할 수 없어 안전을 위해 중단했어요. 페이지를 다시 열고 시도해 주세요.
refusal-not_admitted = 이 앱을 이용할 수 있는 권한이 없어요. 이용이 필요하다면 앱 운영자에게 문의해 주세요.
refusal-invalid_request = 요청이 올바르지 않아요. 이전 화면으로 돌아가 다시 시도해 주세요.
refusal-unknown_app = 없는 앱이에요. 들어오신 링크를 다시 확인해 주세요.
refusal-not_found = 찾으시는 내용이 없거나 볼 수 있는 권한이 없어요.
refusal-method_not_allowed = 이 주소는 이렇게 이용할 수 없어요. 해당 페이지에서 다시 시작해 주세요.
refusal-email_taken = 이미 가입된 이메일이에요. 이 이메일로 로그인해 주세요.
refusal-too_large = 보내신 내용이 너무 커요.
refusal-rate_limited = 시도 횟수가 너무 많아요. 잠시 후 다시 시도해 주세요.
refusal-overloaded = 지금 이용자가 많아 처리가 늦어지고 있어요. 잠시 후 다시 시도해 주세요.
refusal-store_unavailable = 지금은 정보를 불러올 수 없어요. 저장된 정보는 안전하니 잠시 후 다시 시도해 주세요.
refusal-internal = 일시적인 문제가 발생했어요. 잠시 후 다시 시도해 주세요.

## 더 자세한 안내

problem-wrong-password = 비밀번호가 올바르지 않아요. 다시 입력해 주세요.
problem-bad-email = 이메일 주소 형식이 올바르지 않아요. 다시 확인해 주세요.
problem-registration-closed = 여기서는 새 계정을 만들 수 없어요. 계정이 필요하다면 운영자에게 문의해 주세요.
problem-password-too-short = 비밀번호가 너무 짧아요. { $minimum }자 이상 입력해 주세요.
problem-password-too-long = 비밀번호가 너무 길어요. 더 짧게 입력해 주세요.
problem-password-too-weak = 추측하기 쉬운 비밀번호예요. 더 길거나 흔하지 않은 비밀번호를 사용해 주세요.
problem-rate-limited = 시도 횟수가 너무 많아요. { $wait } 후에 다시 시도해 주세요.
problem-overloaded = 지금 이용자가 많아 처리가 늦어지고 있어요. { $wait } 후에 다시 시도해 주세요.

## 시간

just-now = 방금 전
ago = { $time } 전
duration = { $unit ->
    [second] { $count }초
    [minute] { $count }분
    [hour] { $count }시간
   *[day] { $count }일
}

## 서버가 하는 일 (serve --explain)

explain = 서버가 하는 일
explain-methods = 방식
explain-session = HttpOnly 쿠키에 담긴 티켓입니다. 서버는 기록을 남기고 조회하거나, 조회한 것을 기억해 둡니다.
explain-jwt = 서명으로 확인하는 액세스 토큰과, 기록 위에서 교체되는 갱신 토큰입니다.
explain-jwt-stateless = 스스로 모든 것을 담은 액세스 토큰과 갱신 토큰입니다. 서버는 끝난 것 말고는 아무것도 남기지 않습니다.
explain-phantom = session처럼 티켓을 쓰고, 서버 뒤의 서비스는 요청마다 1분짜리 토큰을 받습니다.
explain-person = 사용자
explain-thief = 도둑
explain-operator = 운영자
explain-sign-in = 로그인
explain-ask = 요청 보내기
explain-renew = 갱신
explain-sign-out = 로그아웃
explain-copy = 훔치기
explain-steal = 도둑이 자격 증명을 복사
explain-thief-asks = 도둑이 요청 보내기
explain-thief-renews = 도둑이 갱신
explain-end = 세션 끝내기
explain-kill-key = 키 폐기
explain-start-over = 처음부터
explain-kill-text = 여기 보이는 메시지는 모두 진짜이고, 키 폐기도 진짜입니다. 그 키로 만든 것을 가진 모두가 거부됩니다. 토큰은 앱의 refresh_grace 동안 많아야 한 번 교체되므로, 갱신으로 드러나는 도난은 그 뒤에 보입니다.
explain-client-holds = 클라이언트가 가진 것
explain-thief-holds = 도둑이 가진 것
explain-server-keeps = 서버가 남긴 것
explain-nothing = 없습니다.
explain-no-record = 기록이 없습니다.
explain-log-has-it = 폐기 로그에 이 세션이 끝났다고 적혀 있습니다.
explain-claims = 담긴 내용
explain-show = 보기
explain-warm = 메모리에서 확인했습니다. 검증자가 모든 종료 소식을 듣고 있어 저장소에 묻지 않았습니다.
explain-heard = 메모리에서 거부했습니다. 검증자가 이 종료 소식을 이미 들어서 저장소에 묻지 않았습니다.
explain-stolen = 이제 두 번째 클라이언트가 같은 것을 가졌습니다. 아무에게도 알려지지 않고, 서버도 알 수 없습니다.
explain-accepted = 받아들임
explain-refused = 거부
explain-lane-thief = 도둑
explain-lane-client = 클라이언트
explain-lane-server = 서버
explain-lane-store = 저장소
explain-part-password = 비밀번호 해시
explain-part-signature = 서명
explain-part-sessions = 세션 저장소
explain-part-accounts = 계정 저장소
explain-part-rest = 서버의 나머지 일
explain-part-wire = 연결과 HTTP
explain-part-waiting = 빈 스레드를 기다림
explain-did-password = 비밀번호를 해시함
explain-did-sign = 토큰에 서명함
explain-did-check = 서명을 확인함
explain-did-create = 기록을 남김
explain-did-rotate = 세대를 바꿈
explain-did-delete = 기록을 지움
explain-did-read = 기록을 읽음
explain-did-change = 기록을 고침
explain-did-login = 주소로 계정을 찾음
explain-did-standing = 계정과 앱의 에포크를 읽음
explain-did-end = 종료를 로그에 적음
explain-did-end-delete = 종료를 로그에 적고 기록을 지움
explain-did-log = 무엇이 끝났는지 로그에 물음
explain-did-keys = 키를 읽거나 바꿈
explain-did-account = 계정에 관해 물음

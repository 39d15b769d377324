# `cloakroom attack` 보고서의 틀입니다. 각 공격의 설명과 관찰은 영어 그대로 싣습니다.

title = 공격받는 Cloakroom
about = 모든 공격은 먼저 일부러 허술하게 만든 로그인에 시도합니다. 거기서 성공하지 못하면 아무것도 보여 주지 못하기 때문입니다. 그다음 방식마다 Cloakroom에 시도합니다. 각 공격의 설명과 관찰은 영어로 적혀 있습니다.
contents = 차례

verdict = 요약
verdict-good = Cloakroom에 성공한 공격은 없고, 허술한 로그인에는 모두 성공했습니다.
verdict-tried = 시도한 것 가운데 Cloakroom에 성공한 것은 없지만, 시도하지 못한 것이 있습니다.
verdict-wrong = 그래서는 안 되는 결과가 있습니다. 느낌표가 붙은 것을 보십시오.
verdict-cloakroom = 시도한 공격: { $attacks }. Cloakroom에 실패한 시도: { $failed }, 미리 밝힌 시간 안에서만 통한 시도: { $windows }, 성공한 시도: { $succeeded }.
verdict-careless = 허술한 로그인에 마땅히 성공한 시도: { $succeeded }, 성공해야 하는데 실패한 시도: { $defects }.
notice-wrong = { $who }: { $word }. { $evidence }
notice-left-out = 시도하지 못함: { $attacks }. { $why }. 시도하지 못한 것은 어느 쪽으로도 세지 않습니다.

windows = 한동안 통하는 것
windows-text = 베어러 토큰의 복사본을 가졌거나 페이지 안에서 스크립트를 실행하는 사람은 무언가가 끝낼 때까지 그것을 쓸 수 있고, 어떤 로그인도 이를 막지 못합니다. 모두 가장 긴 시간과 함께 미리 밝혀 둔 것이고, 그보다 길면 성공으로 셉니다. 이 실행을 위해 띄운 서버는 기다릴 수 있도록 수명이 짧습니다. 수명이 길면 이 시간도 그만큼 길어집니다.
windows-caption = 한동안 통한 시도
window-for = 통한 시간
window-seen = 관찰한 것과 미리 밝힌 것

matrix = 모든 대상에 대한 모든 공격
matrix-caption = 각 공격의 결과
legend = 낱말의 뜻
legend-failed = 공격자가 원하는 것을 얻지 못했습니다
legend-succeeded = 얻었습니다. 허술한 로그인이라면 마땅하고, Cloakroom이라면 있어서는 안 됩니다
legend-window-example = 1.0초
legend-window = 그동안만 얻었고, 미리 밝힌 시간을 넘지 않았습니다
legend-none = 시도할 것이 없습니다. 까닭은 각 공격에 적혀 있습니다
legend-left-out = 필요한 것이 없어 시도하지 못했습니다. 어느 쪽으로도 세지 않습니다
legend-wrong = 그래서는 안 됩니다

attack = 공격
target-careless = 허술한 로그인
target-cloakroom = Cloakroom

outcome-succeeded = 성공
outcome-failed = 실패
outcome-window = { $seconds }초
outcome-none = –
outcome-left-out = 제외

attacker-has = 공격자가 가진 것
attacker-does = 하는 일
attacker-gains = 노리는 것
source = 출처
not-tried = 시도하지 못함: { $why }.

family-theft = 복사된 자격 증명과 그것을 얻는 길
family-cross-site = 피해자의 브라우저 속 다른 사이트
family-cookies = 남이 심은 쿠키
family-tokens = 위조하거나 잘못 쓴 토큰
family-guessing = 추측
family-pressure = 압력

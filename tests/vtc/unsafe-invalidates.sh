# Each unsafe method that succeeds drops its URL, and those that its answer names (RFC 9111 §4.4).
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/members/**"; tags = ["all"]; refused_location = ["*/login", "*/login[?]*"]; },
    { path = "/saves/**"; tags = ["all"]; change_answer = ["X-Other", "X-Saved: *p?st*"]; },
    { path = "/tagged/**"; ttl = "5m"; tags = ["all"]; }, { path = "/**"; ttl = "5m"; cookies = { key = ["c"]; }; }'

fresh() {
    for target in "$@"; do
        get "$target"
        await is_hit "$target"
    done
}
# change METHOD TARGET INVALIDATION
change() {
    get "$2" -X "$1" -d ''
    is "$1 $2: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" "$3"
}
dropped() {
    get "$1"
    is "$1 after $2: X-Cache" "$(field X-Cache)" MISS
    await is_hit "$1"
}
stays() {
    get "$1"
    is "$1 after $2: X-Cache" "$(field X-Cache)" HIT
}

fresh /page /page?q=1 /other
for method in POST PUT DELETE PATCH QUITEUNKNOWN; do
    case $method in
    # What lighttpd does not know does not arrive.
    QUITEUNKNOWN) method=PROPPATCH ;;
    esac
    change $method /page done
    dropped /page $method
    stays '/page?q=1' "$method /page"
    stays /other "$method /page"
done
for status in 200 201 204 301 303; do
    page="/page?h=Cache-Control:max-age=300&status=$status"
    fresh "$page"
    change POST "$page" done
    dropped "$page" "a POST with $status"
done
# Safe ones change nothing, and an error has changed nothing.
get /page -X OPTIONS
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" ''
stays /page OPTIONS
for method in PROPFIND REPORT SEARCH; do
    get '/page?sum=1' -X $method -H 'Content-Type: application/xml' -d '<x/>'
    is "$method: status, X-Cache, X-Cache-Invalidate" "$(status) $(field X-Cache) $(field X-Cache-Invalidate)" \
        '200 BYPASS '
    is "$method: the length of what the backend got" "$(cut -d ' ' -f 1 "$DIR/body")" 4
    stays /page $method
done
# All that its answer names.
fresh /first /second /other
change POST '/page?h=Location:/first&h=Location:/second&h=Content-Location:/other' done
for target in /first /second /other; do
    dropped "$target" 'a POST with two Locations'
done
for status in 400 404 412 500 503; do
    fresh "/failing?status=$status&after=1"
    change POST "/failing?status=$status&after=1" ''
    stays "/failing?status=$status&after=1" "a POST with $status"
done

# All variants of it, and everybody's.
varied='/page?h=Vary:X-V'
get "$varied" -H 'X-V: 1'
get "$varied" -H 'X-V: 2'
get "$varied" -H 'X-V: 1' -b c=1
sleep 0.2
change POST "$varied" done
for v in 1 2; do
    get "$varied" -H "X-V: $v"
    is "variant $v: X-Cache" "$(field X-Cache)" MISS
done
get "$varied" -H 'X-V: 1' -b c=1
is "that with a cookie: X-Cache" "$(field X-Cache)" MISS

# What the answer names, on this host and no other.
fresh /list '/list?a=b' /item/1 /item/2 /elsewhere
change POST '/list?h=Location:/item/1&h=Content-Location:../item/2&status=201' done
dropped /item/1 "a POST with its Location"
dropped /item/2 "a POST with its Content-Location"
stays /list "a POST of another URL"
change POST "/list?h=Location:http://127.0.0.1:$PORT1/item/1" done
dropped /item/1 "a POST with a whole URL"
change POST '/list?h=Location:http://example.com/elsewhere' done
stays /elsewhere "a POST that names another host"
change POST "/list?h=Location:http://127.0.0.1:1/elsewhere" done
stays /elsewhere "a POST that names another port"
change POST '/list?h=Content-Location://example.com/elsewhere' done
stays /elsewhere "a POST that names another host"
change POST '/list?h=Content-Location:https://127.0.0.1/elsewhere' done
stays /elsewhere "a POST that names another scheme"

# Who may not is sent to the log-in page, which changes nothing: by a redirect, and only to there.
fresh /tagged/page
for answer in 'status=302&h=Location:/login?back=1' "status=303&h=Location:http://127.0.0.1:$PORT1/login" \
    'status=302&h=Location:https://sso.example/login'; do
    change POST "/members/a?$answer" ''
    stays /tagged/page "a POST with $answer"
done
for answer in 'status=302&h=Location:/members/a' 'status=302' 'status=302&h=Location:/login/not' \
    'status=201&h=Location:/login'; do
    change POST "/members/a?$answer" done
    dropped /tagged/page "a POST with $answer"
done

# An application that says what is a change: other answers leave what the route names, and drop what
# they always do.
fresh /item/1
for answer in 'status=200' 'h=X-Saved:page' 'h=X-Saved:pst' 'h=X-Not-Saved:post' \
    'status=303&h=Location:/item/1'; do
    change POST "/saves/a?$answer" done
    stays /tagged/page "a POST with $answer"
done
dropped /item/1 "a POST with its Location that is no change otherwise"
for answer in 'h=X-Saved:post' 'h=x-saved:a+past+b' 'h=X-Other:' 'h=X-Saved:page&h=X-Saved:post' \
    'status=303&h=X-Other:1&h=Location:/b'; do
    change POST "/saves/a?$answer" done
    dropped /tagged/page "a POST with $answer"
done

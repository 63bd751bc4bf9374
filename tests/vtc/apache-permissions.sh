# What Larder's files for PHP behind Apache refuse is refused whatever the operator permits besides: Apache
# merges <Files>, <Location> and <If> after what the snippets say, and "Satisfy Any" turns a denial around.
# needs: apache2 mod_proxy_fcgi mod_fcgid mod_rewrite mod_include mod_dav_fs spawn-fcgi redis-server redis-cli curl php-fpm
# time: 60
. case

root=$DIR/htdocs
refused='lib.inc lib.inc/x config.php.bak view.phtml~ CONFIG.PHP index/ lib.inc/Acme.Inc config.php.bak/x/Acme.Inc
    CONFIG.PHP/Acme.Inc Acme.Inc/Acme.Inc'
dotted='.env .git/config .git/index.php .git/ .env/Acme.Inc .git/config/Acme.Inc'
own='larder-answers-itself.php members/larder-answers-itself.php'
wordpress='wp-config.php wp-config.php/x wp-config.bak wp-content/uploads/e.php wp-content/uploads/e.php/x
    wp-content/uploads/e.phtml wp-content/uploads/'
# What a page with server-side includes is asked to include, from a directory.
included='lib.inc config.php.bak CONFIG.PHP.old .env .git/config'
mkdir -p "$root"
mkdir -m 777 "$root/dav"
mkdir -p "$root/parts/.git" "$root/.git" "$root/wp-content/uploads" "$root/members" "$root/index"
for file in index.php lib.inc Acme.Inc config.php.bak view.phtml~ CONFIG.PHP index/lib.inc .env \
    .git/config .git/index.php larder-answers-itself.php members/larder-answers-itself.php wp-config.php \
    wp-config.bak wp-content/uploads/e.php wp-content/uploads/e.phtml wp-content/uploads/index.php parts/lib.inc parts/config.php.bak \
    parts/CONFIG.PHP.old parts/.env parts/.git/config parts/wp-config.bak parts/wp-config.php; do
    echo '<?php echo "it ", "ran";' > "$root/$file"
done

echo part > "$root/parts/part.html"
for directory in parts wp-content/uploads; do
    echo "page: <!--#include file=\"$directory/\$QUERY_STRING\" -->" > "$root/${directory%%/*}.shtml"
done

# permission NAME: each is a line that is common in the field.
names='location address if files satisfy'
permission() {
    case $1 in
    location) printf '<Location "/">
%s
</Location>
' 'Require all granted' ;;
    address) printf '<Location "/">
%s
</Location>
' 'Require ip 127.0.0.0/8' ;;
    if) printf '<If "%%{HTTP_HOST} =~ /./">
%s
</If>
' 'Require ip 127.0.0.0/8' ;;
    files) printf '<Files "*">
%s
</Files>
' 'Require all granted' ;;
    satisfy) printf '<Directory "%s">
Satisfy Any
</Directory>
' "$root" ;;
    esac
}
site() {
    printf '<VirtualHost *:%s>
ServerName %s
DocumentRoot "%s"
' "$PORT1" "$1" "$root"
}
extra() {
    snippet=$1
    shift
    echo '</VirtualHost>'
    for module in authz_host access_compat setenvif negotiation include dav dav_fs "$@"; do
        echo "LoadModule ${module}_module $(apache-modules)/mod_$module.so"
    done
    printf '<Directory "%s">\nOptions FollowSymLinks MultiViews Includes\nRequire all granted\nAcceptPathInfo On\nAddOutputFilter INCLUDES .shtml\n</Directory>\n' "$root"
    printf 'DavLockDB "%s/run/dav"\n<Directory "%s/dav">\nDav On\nRewriteEngine Off\n</Directory>\n' "$DIR" "$root"
    printf '<Directory "%s/index">\nDirectoryIndex lib.inc\n</Directory>\n' "$root"
    echo 'Include larder/larder-php-guard.conf'
    for name in $names; do
        site "$name.guard"
        permission "$name"
        echo '</VirtualHost>'
        site "$name.test"
        echo "Include larder/$snippet"
        echo "Define LARDER_WORDPRESS \"$root\""
        echo 'Include larder/larder-wordpress.conf'
        echo 'SetEnvIf Request_URI "/Acme\.Inc$" larder_served'
        permission "$name"
        echo '</VirtualHost>'
    done
    site last.test
}

# are STATUS HOST NAME...: each of them is answered so, and no source is sent. One curl asks for all.
are() {
    wanted=$1 host=$2
    shift 2
    for name; do
        printf 'url = "%s/%s"\n' "$url" "$name"
    done > "$DIR/names.curl"
    curl -sS -H "Host: $host" -w '\n%{http_code} %{url_effective}\n' -K "$DIR/names.curl" > "$DIR/answers"
    ! grep -q -e '<?php' -e '^it ran' "$DIR/answers" || fail "$mount, $host: $(cat "$DIR/answers")"
    sed -n "s|^\([0-9]*\) $url/|\1 |p" "$DIR/answers" > "$DIR/statuses"
    for name; do
        echo "$wanted $name"
    done | diff - "$DIR/statuses" || fail "$mount, $host: not the status"
}

redis start
fpm start
conf url="$(fpm url)" responder='workers = 1; max_fetchers = 1;' admin='token = "0123456789abcdef";' routes='
    { path = "/**"; }'
pool start -n 1
chmod 666 "$DIR/log/larder"
for mount in apache-proxy-fcgi-php apache-mod-fcgid-php; do
    case $mount in
    apache-proxy-fcgi-php) extra larder-php-proxy-fcgi.conf > "$DIR/front.extra" ;;
    *) extra larder-php-fcgid.conf proxy proxy_fcgi > "$DIR/front.extra" ;;
    esac
    front "$mount" "$PORT1"
    for permitted in $names; do
        # shellcheck disable=SC2086
        are 403 "$permitted.test" $refused $dotted $own $wordpress
        # shellcheck disable=SC2086
        are 403 "$permitted.guard" $refused
        for host in test guard; do
            # MultiViews finds it.
            are 404 "$permitted.$host" lib
        done
        for part in part.html $included wp-config.bak wp-config.php; do
            for host in test guard; do
                case $host-$part in
                guard-.* | guard-wp-*) continue ;;
                esac
                # What the page's own address permits is not permitted to its parts.
                get "/parts.shtml/Acme.Inc?$part" -H "Host: $permitted.$host"
                ! grep -q -e '<?php' -e 'it ran' "$DIR/body" ||
                    fail "$mount, $permitted.$host: includes $part behind /Acme.Inc: $(cat "$DIR/body")"
                get "/parts.shtml?$part" -H "Host: $permitted.$host"
                ! grep -q -e '<?php' -e 'it ran' "$DIR/body" ||
                    fail "$mount, $permitted.$host: includes $part: $(cat "$DIR/body")"
                grep -q '^page: ' "$DIR/body" || fail "$mount: the page: $(cat "$DIR/body")"
                [ "$part" != part.html ] || grep -q part "$DIR/body" || fail "$mount: nothing is included"
            done
        done
        get '/wp-content.shtml?e.php' -H "Host: $permitted.test"
        ! grep -q 'it ran' "$DIR/body" || fail "$mount, $permitted: what is uploaded runs as a part"
        # What WebDAV may write is not read as configuration.
        for written in '.user.ini -T' 'x.txt -T' "x.txt -HDestination:http://$permitted.test/dav/.user.ini -XCOPY" \
            '.d -XMKCOL'; do
            upload=
            case $written in *' -T') upload=$DIR/larder.conf ;; esac
            # shellcheck disable=SC2086
            get "/dav/${written%% *}" -H "Host: $permitted.test" ${written#* } $upload
            case $written in
            x.txt*-T) is "$mount, $permitted: PUT" "$(status | sed s/204/201/)" 201 ;;
            *) is "$mount, $permitted: $written" "$(status)" 403 ;;
            esac
        done
        is "$mount, $permitted: written" "$(ls -A "$root/dav")" x.txt
        get / -H "Host: $permitted.test"
        is "$mount, $permitted: a script" "$(status) $(cat "$DIR/body")" '200 it ran'
        get /Acme.Inc -H "Host: $permitted.test"
        is "$mount, $permitted: what is to be served" "$(status) $(cat "$DIR/body")" \
            "200 $(cat "$root/Acme.Inc")"
        get /.larder/purge -H "Host: $permitted.test" -H 'X-Larder-Token: 0123456789abcdef' -d '{"url": "/"}'
        is "$mount, $permitted: a purge" "$(status)" 200
    done
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
done

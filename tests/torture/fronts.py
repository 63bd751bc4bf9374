"""The web servers that a machine may stand behind, each with the snippets that Larder ships for it.

A front is the command that runs it in the foreground; its files are below the machine's directory.
"""

import os

LIGHTTPD = """server.document-root = "{www}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{log}.front"
server.upload-dirs = ( "{run}" )
server.max-keep-alive-requests = 10000
var.larder_socket = "{socket}"
include "{source}/etc/lighttpd/larder-spawn-fcgi.conf"
"""

NGINX = """{user}
worker_processes 1;
pid "{run}/front.pid";
error_log "{log}.front";
daemon off;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 10000;
    client_max_body_size 10m;
    client_body_temp_path "{run}/nginx-body";
    fastcgi_temp_path "{run}/nginx-fastcgi";
    proxy_temp_path "{run}/nginx-proxy";
    scgi_temp_path "{run}/nginx-scgi";
    uwsgi_temp_path "{run}/nginx-uwsgi";
    {http}
    server {{
        listen 127.0.0.1:{port};
        root "{www}";
        include larder/larder.conf;
    }}
}}
"""

APACHE = """{modules}
{user}
ServerRoot "{dir}"
ServerName localhost
DefaultRuntimeDir "{run}"
PidFile "{run}/front.pid"
Mutex pthread default
ErrorLog "{log}.front"
Listen 127.0.0.1:{port}
DocumentRoot "{www}"
MaxKeepAliveRequests 0
ServerLimit 2
StartServers 2
ThreadsPerChild 64
MaxRequestWorkers 128
<VirtualHost *:{port}>
    Define LARDER_SOCKET "{socket}"
    Include larder/larder-proxy-fcgi.conf
</VirtualHost>
"""


def write(path, text):
    with open(path, "w", encoding="ascii") as out:
        out.write(text)


def lighttpd(machine, values):
    config = machine.at("lighttpd.conf")
    write(config, LIGHTTPD.format(**values))
    return ["lighttpd", "-D", "-f", config]


def link(machine, values, name):
    """The snippets find each other where an operator puts them."""
    os.symlink(os.path.join(values["source"], "etc", name), machine.at("larder"))


def nginx(machine, values):
    link(machine, values, "nginx")
    with open(os.path.join(values["source"], "etc/nginx/larder-http.conf"), encoding="utf-8") as file:
        http = file.read().replace("unix:/run/larder/larder.sock", "unix:" + values["socket"])
    config = machine.at("nginx.conf")
    with open(config, "w", encoding="utf-8") as out:
        out.write(NGINX.format(http=http, user="user root root;" if os.getuid() == 0 else "",
                               **values))
    return ["nginx", "-c", config]


def apache(machine, values):
    link(machine, values, "apache")
    where = next((path for path in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules",
                                    "/usr/libexec/apache2") if os.path.isdir(path)), None)
    if where is None:
        raise RuntimeError("Apache's modules are not where they are expected")
    modules = "\n".join("LoadModule %s_module %s/mod_%s.so" % (name, where, name)
                        for name in ("mpm_event", "authz_core", "env", "proxy", "proxy_fcgi")
                        if os.path.exists("%s/mod_%s.so" % (where, name)))
    config = machine.at("apache.conf")
    write(config, APACHE.format(modules=modules,
                                user="User nobody\nGroup nogroup" if os.getuid() == 0 else "",
                                **values))
    return ["apache2", "-f", config, "-DFOREGROUND"]


ALL = {"lighttpd": lighttpd, "nginx": nginx, "apache": apache}


def command_of(name, machine):
    values = {"dir": machine.dir, "www": machine.at("www"), "run": machine.at("run"),
              "port": machine.front_port, "log": machine.log, "socket": machine.socket_path,
              "source": machine.options.source}
    return ALL[name](machine, values)

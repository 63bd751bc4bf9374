// Loaded before the suite's backend: a server that names no address listens on 127.0.0.1 only.
import { Server } from 'node:net'

const listen = Server.prototype.listen
Server.prototype.listen = function (port, ...rest) {
  const bare = ['number', 'string'].includes(typeof port) && typeof rest[0] !== 'string'
  return bare ? listen.call(this, Number(port), '127.0.0.1', ...rest) : listen.call(this, port, ...rest)
}

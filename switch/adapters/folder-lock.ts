// Adapter: one process a folder. The holder listens on a socket in the folder, named by its process
// id; the kernel ends the listening with the process, so that kill -9 leaves nothing but a dead
// file, which answers nobody and is removed by the next holder.
//
// Each process binds a socket of its own first and looks for others second, so of two that start
// together at least one sees the other and gives way (perhaps both do). Dead sockets are removed
// only by who has won: what looked dead may have been about to listen, and it will see the winner.
//
// A socket in the file system is seen from every container of this machine that mounts the folder,
// whatever its network and process namespaces. It is not seen from another machine (NFS and the
// like): a folder belongs to one machine.

import { randomBytes } from 'node:crypto'
import { closeSync, constants, openSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import path from 'node:path'

export interface FolderLock {
  /** Gives the folder free. */
  release(): Promise<void>
}

export interface LockProblem {
  readonly code: 'folder_locked' | 'lock_failed'
  readonly message: string
}

export type LockResult =
  | { readonly ok: true; readonly lock: FolderLock }
  | { readonly ok: false; readonly problem: LockProblem }

/** `sun_path` holds 107 bytes and a zero. */
const SOCKET_PATH_BYTES_MAX = 107

const LOCK_NAME = /^lock-([0-9]+)-[0-9a-f]{8}\.sock$/

/** Takes the folder for this process, or says who has it. */
export async function lockFolder(folder: string): Promise<LockResult> {
  const own = `lock-${process.pid}-${randomBytes(4).toString('hex')}.sock`
  const door = openDoor(folder, own)
  let server: Server
  try {
    server = await listen(path.join(door.path, own))
  } catch (error) {
    door.close()
    const why = (error as Error).message
    return refused('lock_failed', `no socket can be made in it to hold it with: ${why}`)
  }
  const release = async () => {
    await new Promise((resolve) => server.close(resolve))
    door.close()
  }
  const others = await probeLocks(door.path, own)
  if (others.holderPid === undefined) {
    for (const dead of others.dead) rmSync(path.join(door.path, dead), { force: true })
    return { ok: true, lock: { release } }
  }
  await release()
  return refused('folder_locked', heldMessage(others.holderPid))
}

/** The process that holds the folder, by the id that it knows itself by; undefined is nobody. */
export async function findHolder(folder: string): Promise<number | undefined> {
  const door = openDoor(folder, 'lock-0000000-00000000.sock')
  try {
    return (await probeLocks(door.path, '')).holderPid
  } finally {
    door.close()
  }
}

/** Without the folder: who asked for it names it. */
function heldMessage(holderPid: number): string {
  return (
    `it is held by process ${holderPid} (perhaps of another container), and has exactly one ` +
    'writer: stop that process, or set another DATA_DIR'
  )
}

/** The folder by a path that is short enough for a socket's address. */
function openDoor(folder: string, name: string): { path: string; close(): void } {
  if (Buffer.byteLength(path.join(folder, name)) <= SOCKET_PATH_BYTES_MAX) {
    return { path: folder, close: () => {} }
  }
  const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  return { path: `/proc/self/fd/${descriptor}`, close: () => closeSync(descriptor) }
}

function listen(socketPath: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject)
    server.listen(socketPath, () => {
      server.unref()
      resolve(server)
    })
  })
}

async function probeLocks(
  folder: string,
  own: string,
): Promise<{ holderPid: number | undefined; dead: string[] }> {
  const dead: string[] = []
  for (const name of readdirSync(folder)) {
    const pid = LOCK_NAME.exec(name)?.[1]
    if (pid === undefined || name === own) continue
    if (await isAlive(path.join(folder, name))) return { holderPid: Number(pid), dead }
    dead.push(name)
  }
  return { holderPid: undefined, dead }
}

/** Only a refused connection proves death: a stopped process still has its socket. */
function isAlive(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT')
    })
  })
}

function refused(code: LockProblem['code'], message: string): LockResult {
  return { ok: false, problem: { code, message } }
}

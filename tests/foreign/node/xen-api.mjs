// The npm library xen-api, Xen Orchestra's own, against the simulator's front, over JSON-RPC.
//
// XCP_SIMULATED is what `simulate --json` says.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'xen-api'

const { hosts, user, password } = JSON.parse(process.env.XCP_SIMULATED)
const host = name => hosts.find(host => host.name === name)

const client = (name, options = {}) =>
  createClient({
    url: host(name).https,
    auth: { user, password },
    allowUnauthorized: true,
    debounce: 50,
    watchEvents: false,
    ...options,
  })

const failure = async promise => {
  const error = await promise.then(
    result => assert.fail(`no failure: ${JSON.stringify(result)}`),
    error => error
  )
  return [error.code, ...(error.params ?? [])]
}

const until = async (what, done, seconds = 60) => {
  const end = Date.now() + seconds * 1e3
  while (!(await done())) {
    assert(Date.now() < end, what)
    await sleep(200)
  }
}

const checks = {
  async 'a login at a member is led to the master'() {
    const xapi = client('lab-2')
    await xapi.connect()
    const master = await xapi.getRecord('host', xapi.pool.master)
    assert.equal(master.address, host('lab-1').address)
    assert.equal(xapi.pool.name_label, 'lab')
    await xapi.disconnect()
  },

  async 'a wrong password is refused'() {
    const xapi = client('phantom', { auth: { user, password: 'wrong' } })
    assert.deepEqual(await failure(xapi.connect()), [
      'SESSION_AUTHENTICATION_FAILED',
      user,
      'Authentication failure',
    ])
  },

  async 'every class can be read, and failures come with their parameters'() {
    const xapi = client('lab-1')
    await xapi.connect()
    const methods = await xapi._call('system.listMethods')
    const classes = methods.filter(name => name.endsWith('.get_all_records')).map(name => name.split('.')[0])
    assert(classes.length > 55, String(classes.length))
    let read = 0
    for (const name of classes) {
      try {
        read += (await xapi.getAllRecords(name)).length
      } catch (error) {
        assert.equal(error.code, 'MESSAGE_REMOVED', `${name}: ${error}`)
      }
    }
    assert(read > 50, String(read))
    assert.deepEqual(await failure(xapi.call('VM.get_by_uuid', 'nope')), ['UUID_INVALID', 'VM', 'nope'])
    assert.deepEqual(await failure(xapi.call('SR.forget', 'OpaqueRef:no')), ['HANDLE_INVALID', 'SR', 'OpaqueRef:no'])
    await xapi.disconnect()
  },

  async 'objects arrive, change and go as events'() {
    const xapi = client('lab-1', { watchEvents: true })
    await xapi.connect()
    await xapi.objectsFetched
    const types = new Set(Object.values(xapi.objects.all).map(object => object.$type))
    for (const type of ['pool', 'host', 'SR', 'PBD', 'PIF', 'network', 'VM', 'VBD', 'VDI']) {
      assert(types.has(type), type)
    }
    const seen = []
    for (const event of ['add', 'update', 'remove']) {
      xapi.objects.on(event, objects => {
        for (const id of Object.keys(objects)) {
          seen.push({ event, id, label: objects[id]?.name_label })
        }
      })
    }
    const ref = await xapi.call('network.create', {
      name_label: 'made here',
      name_description: '',
      MTU: 1500,
      other_config: {},
      tags: [],
    })
    const network = await xapi.barrier(ref)
    assert.equal(network.name_label, 'made here')
    await network.set_name_label('renamed')
    await xapi.barrier()
    assert.equal(xapi.getObject(ref).name_label, 'renamed')
    await xapi.call('network.destroy', ref)
    await xapi.barrier()
    assert.equal(xapi.getObject(ref, undefined), undefined)
    const ours = seen.filter(({ id }) => id === network.uuid)
    assert.deepEqual(
      ours.map(({ event, label }) => [event, label]),
      [
        ['add', 'made here'],
        ['update', 'renamed'],
        ['remove', undefined],
      ]
    )

    // A task's result comes by events too.
    const vm = Object.values(xapi.objects.all).find(
      ({ $type, power_state, is_control_domain }) => $type === 'VM' && power_state === 'Running' && !is_control_domain
    )
    await xapi.callAsync('VM.hard_shutdown', vm.$ref)
    assert.equal((await xapi.barrier(vm.$ref)).power_state, 'Halted')
    assert.deepEqual(
      (await failure(xapi.callAsync('VM.hard_shutdown', vm.$ref))).slice(0, 2),
      ['VM_BAD_POWER_STATE', vm.$ref]
    )
    await xapi.disconnect()
  },

  async 'Ignite joins Phantom by a task'() {
    const phantom = client('phantom', { watchEvents: true })
    const ignite = client('ignite', { watchEvents: true })
    await Promise.all([phantom.connect(), ignite.connect()])
    await Promise.all([phantom.objectsFetched, ignite.objectsFetched])
    const of = (xapi, type) => Object.values(xapi.objects.all).filter(({ $type }) => $type === type)
    assert.equal(of(phantom, 'SR').length, 6)
    const master = host('phantom').address

    assert.deepEqual(await failure(ignite.callAsync('pool.join', master, user, password)), [
      'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
    ])
    for (const vm of of(ignite, 'VM')) {
      if (vm.power_state === 'Running' && !vm.is_control_domain) {
        await ignite.callAsync('VM.hard_shutdown', vm.$ref)
      }
    }
    for (const sr of of(ignite, 'SR')) {
      if (sr.shared && sr.type === 'nfs') {
        for (const pbd of sr.PBDs) {
          await ignite.call('PBD.unplug', pbd)
        }
        await ignite.call('SR.forget', sr.$ref)
      }
    }
    for (const vlan of of(ignite, 'VLAN')) {
      await ignite.call('VLAN.destroy', vlan.$ref)
    }
    await ignite.callAsync('pool.join', master, user, password)

    await until('Phantom sees the member', () => of(phantom, 'host').filter(({ enabled }) => enabled).length === 2)
    await until('the SRs arrive', () => of(phantom, 'SR').length === 9)
    await ignite.disconnect()
    // Whoever is pointed at Ignite is led to Phantom.
    const led = client('ignite')
    await led.connect()
    assert.equal((await led.getRecord('host', led.pool.master)).address, master)
    await Promise.all([led.disconnect(), phantom.disconnect()])
  },
}

for (const [name, check] of Object.entries(checks)) {
  await check()
  console.log('ok', name)
}
process.exit(0)

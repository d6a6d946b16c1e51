// SPDX-License-Identifier: Apache-2.0
// Debian's node-mongodb against mongosim: usage: clients.js PORT[,PORT...]
'use strict';
const { MongoClient } = require('mongodb');

async function main() {
    const ports = process.argv[2].split(',');
    const hosts = ports.map((p) => '127.0.0.1:' + p).join(',');
    const client = new MongoClient('mongodb://' + hosts + '/?replicaSet=rs0', { useUnifiedTopology: true, useNewUrlParser: true, serverSelectionTimeoutMS: 15000 });
    await client.connect();
    const rows = client.db('store').collection('rows');
    for (let n = 0; n < 20; n++) await rows.insertOne({ _id: n, n }, { writeConcern: { w: 'majority', wtimeout: 5000 }, w: 'majority' });
    await rows.updateOne({ _id: 3 }, { $set: { n: 300 } });
    const found = await rows.find({}).toArray();
    if (found.length !== 20 || found[3].n !== 300) throw new Error('found ' + JSON.stringify(found));
    const status = await client.db('admin').command({ replSetGetStatus: 1 });
    if (status.members.length !== ports.length) throw new Error('members ' + status.members.length);
    console.log(status.members.length + ' members');
    await client.close();
}
main().catch((error) => { console.error(error); process.exit(1); });

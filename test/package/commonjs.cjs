require('reflect-metadata');
const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { CqrsModule } = require('@nestjs/cqrs');
const { TypeOrmModule } = require('@nestjs/typeorm');
const { DomainEvent, EventStore, EventStoreModule } = require('nest-event-store');
const { appendAndRead } = require('./application.cjs');

void appendAndRead({
  Module,
  NestFactory,
  CqrsModule,
  TypeOrmModule,
  DomainEvent,
  EventStore,
  EventStoreModule,
});
